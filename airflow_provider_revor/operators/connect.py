"""Connect accounts as a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_revor.api.accounts import Channel, ConnectAccount, counted, parse_channel, parse_flag
from airflow_provider_revor.api.answers import clean_id
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.links import LinksToAccounts
from airflow_provider_revor.tasks.failures import ExplainsFailures
from airflow_provider_revor.tasks.templates import is_known
from airflow_provider_revor.typing import BaseOperatorArgs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.typing import OrXCom

_MOST_NEW_CHANNELS = 10


class ListConnectAccountsOperator(ExplainsFailures, LinksToAccounts, BaseOperator):
    """
    List the Connect accounts of a Revor connection.

    Pushes the list of account dicts to XCom, in Revor's order; an empty list is a success. To wait until an
    account can send, use :class:`~airflow_provider_revor.sensors.connect.SendableAccountSensor`.

    Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.

    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param channel: Only accounts of this channel: ``email``, ``linkedin`` or ``whatsapp``; None, and a template that
        renders to an empty string or ``None``, for all. Default: None. (templated)
    :param can_send: Only accounts whose ``can_send`` is this: a bool, or a string that says ``true``, ``false``, ``1``
        or ``0``; None, and a template that renders to an empty string or ``None``, for all. An account that may send
        can still be unavailable: to list those that can really send, use ``sendable``. Default: None. (templated)
    :param sendable: Only accounts that can really send: their ``status`` is ``ok`` and their ``can_send`` is true. Or,
        if false, only those that cannot. The same values as ``can_send``. Default: None. (templated)
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if ``channel``, ``can_send`` or ``sendable`` is
        literal and invalid.
    """

    template_fields: Sequence[str] = ("revor_conn_id", "channel", "can_send", "sendable")
    ui_color = "#d9f2e6"

    # Templated: another task's output until it is rendered.
    revor_conn_id: Any
    channel: Any
    can_send: Any
    sendable: Any

    def __init__(
        self,
        *,
        revor_conn_id: OrXCom[str] = "revor_default",
        channel: OrXCom[str | None] = None,
        can_send: OrXCom[bool | str | None] = None,
        sendable: OrXCom[bool | str | None] = None,
        **kwargs: Unpack[BaseOperatorArgs],
    ) -> None:
        super().__init__(**kwargs)
        if is_known(channel):
            parse_channel(channel)
        for name, value in (("can_send", can_send), ("sendable", sendable)):
            if is_known(value):
                parse_flag(name, value)
        self.revor_conn_id = revor_conn_id
        self.channel = channel
        self.can_send = can_send
        self.sendable = sendable

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """
        Request the list.

        :return: The accounts' dicts, in Revor's order.
        :raises RevorError: if the request fails; see :mod:`airflow_provider_revor.exceptions`.
        """
        channel = parse_channel(self.channel)
        with RevorHook(self.revor_conn_id) as hook:
            accounts = hook.list_connect_accounts(channel=channel, can_send=self.can_send, sendable=self.sendable)
        self._log_counts(accounts, channel)
        return [account.as_dict() for account in accounts]

    def _log_counts(self, accounts: list[ConnectAccount], wanted: Channel | None) -> None:
        total = Counter(account.channel for account in accounts)
        sendable = Counter(account.channel for account in accounts if account.sendable)
        known = [wanted] if wanted else list(Channel)
        new = [channel for channel in total if channel not in known]
        for channel in [*known, *new[:_MOST_NEW_CHANNELS]]:
            self.log.info("%s: %s, %d can send", clean_id(channel), counted(total[channel]), sendable[channel])
        if len(new) > _MOST_NEW_CHANNELS:
            self.log.info("… and %d more channels", len(new) - _MOST_NEW_CHANNELS)
