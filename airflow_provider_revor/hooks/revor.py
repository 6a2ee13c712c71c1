"""The hook: an Airflow connection in, typed values of the Revor API out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.api.accounts import (
    Channel,
    ConnectAccount,
    counted,
    filter_sendable,
    list_request,
    parse_channel,
    parse_flag,
    read_accounts,
)
from airflow_provider_revor.api.versions import ApiVersion
from airflow_provider_revor.api.wire import Request
from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.get_provider_info import connection_form
from airflow_provider_revor.hooks.outreach import OutreachMethods
from airflow_provider_revor.metrics import count_accounts

if TYPE_CHECKING:
    from airflow_provider_revor.api.answers import Envelope


class RevorHook(OutreachMethods):
    """
    Talk to the Revor API with the key of an Airflow connection.

    The connection's password is the API key; its host is the base URL, ``https://revor.ai`` by default. Extras:
    ``api_version`` (``v1`` or ``v2``; default: v1), ``timeout`` (seconds that a request may take, until the last byte
    of its response; default 30), ``max_response_mb`` (megabytes that a response may have; default 32), ``max_retries``
    (default 3), ``verify`` (true, false or the path of a CA bundle; default true), ``proxies`` (a proxy's URL, or a
    mapping of scheme to URL; default: the environment's), ``allow_http`` (whether a key may be sent over plain HTTP to
    another machine; default false).

    One session is reused; use the hook as a context manager (``with``) to close it. Awaited, all hooks for a connection
    share a session in their event loop, which closes it half a minute after its last use and when the loop ends.

    Source: the Revor API reference, "Basics".

    :param revor_conn_id: The Airflow connection, of the type ``revor``.
    :param max_retries: How often a request is sent again at the most, in place of what the connection says.
    :param api_version: ``v1`` or ``v2``, in place of what the connection says.
    """

    conn_name_attr = "revor_conn_id"
    default_conn_name = "revor_default"
    conn_type = "revor"
    hook_name = "Revor"

    def __init__(
        self,
        revor_conn_id: str = default_conn_name,
        *,
        max_retries: int | None = None,
        api_version: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(revor_conn_id, max_retries=max_retries, api_version=api_version, **kwargs)

    @classmethod
    def for_polling(cls, revor_conn_id: str = default_conn_name, api_version: str | None = None) -> RevorHook:
        """
        Return a hook for a caller that asks again by itself, such as a sensor or a trigger.

        It does not retry: the caller's next look is the retry, and more requests would use up a rate limit that all
        keys of a Revor user share.

        :param revor_conn_id: The Airflow connection, of the type ``revor``.
        :param api_version: ``v1`` or ``v2``, in place of what the connection says.
        """
        return cls(revor_conn_id, max_retries=0, api_version=api_version)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the connection's form differs from the common one; for Airflow below 3.2."""
        return {name.replace("-", "_"): value for name, value in connection_form()["ui-field-behaviour"].items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the fields that the connection's form adds; for Airflow below 3.2."""
        from wtforms import BooleanField, IntegerField, StringField
        from wtforms.validators import Optional, any_of

        fields = {"boolean": BooleanField, "integer": IntegerField, "string": StringField}

        def field(spec: dict[str, Any]) -> Any:
            # Without the first, a field of a number that is left empty is an error, and the form cannot be saved.
            validators: list[Any] = [Optional()]
            if choices := [choice for choice in spec["schema"].get("enum", ()) if choice is not None]:
                validators.append(any_of(choices))
            kind = fields[spec["schema"]["type"][0]]
            return kind(spec["label"], validators=validators, description=spec["description"])

        return {name: field(spec) for name, spec in connection_form()["conn-fields"].items()}

    def list_connect_accounts(
        self, channel: str | None = None, can_send: bool | str | None = None, sendable: bool | str | None = None
    ) -> list[ConnectAccount]:
        """
        List Connect accounts: ``GET /api/v1/connect/accounts``.

        :param channel: Only accounts of this channel: ``email``, ``linkedin`` or ``whatsapp``; None for all.
        :param can_send: Only accounts whose ``can_send`` is this; None for all.
        :param sendable: Only accounts that can really send, or that cannot; None for all. Revor has no such filter: it
            is applied to the response.
        :return: The accounts in Revor's order; maybe none.
        :raises ValueError: if a filter is none that Revor knows; before any request.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        return self._send(*self._listing(channel, can_send, sendable))

    async def alist_connect_accounts(
        self, channel: str | None = None, can_send: bool | str | None = None, sendable: bool | str | None = None
    ) -> list[ConnectAccount]:
        """
        List Connect accounts, awaited: the same as :meth:`list_connect_accounts`, for the triggerer.

        :param channel: Only accounts of this channel: ``email``, ``linkedin`` or ``whatsapp``; None for all.
        :param can_send: Only accounts whose ``can_send`` is this; None for all.
        :param sendable: Only accounts that can really send, or that cannot; None for all. Revor has no such filter: it
            is applied to the response.
        :return: The accounts in Revor's order; maybe none.
        :raises ValueError: if a filter is none that Revor knows; before any request.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        return await self._asend(*self._listing(channel, can_send, sendable))

    def _listing(
        self, channel: str | None, can_send: bool | str | None, sendable: bool | str | None
    ) -> tuple[Request, Callable[[Envelope], list[ConnectAccount]]]:
        # Before the request: a bad filter costs none.
        wanted = parse_flag("sendable", sendable)

        def read(envelope: Envelope) -> list[ConnectAccount]:
            return filter_sendable(self._counted(read_accounts(envelope), channel, can_send), wanted)

        return list_request(channel, can_send), read

    def _counted(
        self, accounts: list[ConnectAccount], channel: str | None, can_send: bool | str | None
    ) -> list[ConnectAccount]:
        # A list by `can_send` does not say how many there are of the others.
        if parse_flag("can_send", can_send) is None:
            wanted = parse_channel(channel)
            count_accounts(self.settings.conn_id, accounts, [wanted] if wanted else list(Channel))
        return accounts

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """
        Call any endpoint of the Revor API, with the same authentication, retries and errors.

        :param method: The HTTP method.
        :param path: The path, such as ``/api/v1/connect/accounts``. One that does not begin with ``/api/``, such as
            ``connect/accounts``, is taken from the connection's API version on.
        :param params: The query; None values are left out, a list or tuple repeats its parameter.
        :param json: The body, sent as UTF-8 JSON; None for none.
        :param idempotency_key: Sent as ``Idempotency-Key``. A write is sent again after a fault only if it has
            one, because only then Revor does not act twice.
        :return: The decoded answer: an object with ``ok``, ``request_id`` and ``items`` or ``item``.
        :raises ValueError: if the request cannot be sent as it is; before any request.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        request = Request(method, path, params or {}, json, idempotency_key)
        # A path that names its version is taken as it is.
        as_is = path.lstrip("/").startswith("api/")
        return self._send(request, attrgetter("body"), as_is=as_is)

    def get_credits(self) -> float:
        """
        Return the credits that are left: ``GET /api/v2/credits``, whatever version the connection says.

        :return: The available credits.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        from airflow_provider_revor.api.credits import credits_request, read_credits

        return self._send(credits_request(), read_credits)

    def test_connection(self) -> tuple[bool, str]:
        """
        Ask Revor once for the accounts: what the button "Test" of a connection's form does.

        :return: Whether it went well, and either how many accounts there are and how many of them can send, or
            what is wrong.
        """
        # The id of a connection under test is one that Airflow makes up.
        hook = type(self).for_polling(self.revor_conn_id)
        hook._in_form = True
        with hook:
            try:
                accounts = hook.list_connect_accounts()
            except RevorError as e:
                return False, str(e)
            sendable, credits_left = sum(account.sendable for account in accounts), hook._credits_left()
        return True, f"Revor answers: {counted(len(accounts))}, {sendable} of them can send.{credits_left}"

    def _credits_left(self) -> str:
        if self.settings.api_version is ApiVersion.V1:
            return ""
        try:
            # Not in the general format, which rounds from a million on.
            return f" {f'{self.get_credits():,.2f}'.removesuffix('.00')} credits are left."
        except RevorError as e:
            # The key is good; what is left is not worth a failed test.
            return f" The credits could not be read: {e.reason}"
