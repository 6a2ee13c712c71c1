"""Connect accounts as a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_revor.api.accounts import Channel, ConnectAccount, parse_can_send, parse_channel
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.templates import is_literal

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class ListConnectAccountsOperator(BaseOperator):
    """
    List the Connect accounts of a Revor connection.

    Pushes the list of account dicts to XCom, in Revor's order; an empty list is a success. To wait until an
    account can send, use :class:`~airflow_provider_revor.sensors.connect.SendableAccountSensor`.

    Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.

    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param channel: Only accounts of this channel: ``email``, ``linkedin`` or ``whatsapp``; None, and a template that
        renders to an empty string or ``None``, for all. Default: None. (templated)
    :param can_send: Only accounts whose ``can_send`` is this: a bool, or a string that says ``true``, ``false``, ``1``
        or ``0``; None, and a template that renders to an empty string or ``None``, for all. Default: None.
        (templated)
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if ``channel`` or ``can_send`` is literal and
        none that Revor knows.
    """

    template_fields: Sequence[str] = ("revor_conn_id", "channel", "can_send")
    ui_color = "#d9f2e6"

    def __init__(
        self,
        *,
        revor_conn_id: str = "revor_default",
        channel: str | None = None,
        can_send: bool | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if is_literal(channel):
            parse_channel(channel)
        if is_literal(can_send):
            parse_can_send(can_send)
        self.revor_conn_id = revor_conn_id
        self.channel = channel
        self.can_send = can_send

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """
        Ask Revor for the list.

        :return: The accounts' dicts, in Revor's order.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        channel, can_send = parse_channel(self.channel), parse_can_send(self.can_send)
        with RevorHook(self.revor_conn_id) as hook:
            accounts = hook.list_connect_accounts(channel=channel, can_send=can_send)
        self._tell(accounts, channel)
        return [account.as_dict() for account in accounts]

    def _tell(self, accounts: list[ConnectAccount], wanted: Channel | None) -> None:
        known = [wanted] if wanted else list(Channel)
        # A dict for its order: Revor's channels first, then any that is not known here yet.
        for channel in dict.fromkeys([*known, *(account.channel for account in accounts)]):
            sendable = [account.sendable for account in accounts if account.channel == channel]
            self.log.info("%s: %d Connect accounts, %d can send", channel, len(sendable), sum(sendable))
