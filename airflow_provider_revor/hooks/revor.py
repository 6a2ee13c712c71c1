"""The hook: an Airflow connection in, typed values of the Revor API out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_revor.api.accounts import (
    Channel,
    ConnectAccount,
    filter_sendable,
    list_request,
    parse_channel,
    parse_flag,
    read_accounts,
)
from airflow_provider_revor.api.answers import Envelope, decode
from airflow_provider_revor.api.limits import RateLimit, read_rate_limit
from airflow_provider_revor.api.versions import ApiVersion
from airflow_provider_revor.api.wire import Request
from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.get_provider_info import connection_form
from airflow_provider_revor.hooks.frames import ClearedFrames
from airflow_provider_revor.hooks.lookup import look_up
from airflow_provider_revor.hooks.outreach import OutreachMethods, T
from airflow_provider_revor.metrics import CountedRequest, count_accounts
from airflow_provider_revor.version_compat import mask_secret

if TYPE_CHECKING:
    from types import TracebackType

    import requests

    from airflow_provider_revor.hooks.settings import Settings
    from airflow_provider_revor.hooks.transport import AsyncTransport, SyncTransport

_warned_of: set[str] = set()


class RevorHook(OutreachMethods, BaseHook):
    """
    Talk to the Revor API with the key of an Airflow connection.

    The connection's password is the API key; its host is the base URL, ``https://revor.ai`` by default. Extras:
    ``api_version`` (``v1`` or ``v2``; default: v1), ``timeout`` (seconds that a request may take, until the last byte
    of its response; default 30), ``max_response_mb`` (megabytes that a response may have; default 32), ``max_retries``
    (default 3), ``verify`` (true, false or the path of a CA bundle; default true), ``proxies`` (a proxy's URL, or a
    mapping of scheme to URL; default: the environment's), ``allow_http`` (whether a key may be sent over plain HTTP to
    another machine; default false).

    One session is reused; use the hook as a context manager (``with`` or ``async with``) to close it.

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
        super().__init__(**kwargs)
        self.revor_conn_id = revor_conn_id
        self.max_retries = max_retries
        #: The API version of the next requests, in place of what the connection says; None for that.
        self.api_version = api_version
        #: What the latest response said about the rate limit; None if it said nothing.
        self.rate_limit: RateLimit | None = None
        # Whether messages are for the person who has the connection's form open.
        self._in_form = False
        self._lock = threading.Lock()
        self._sync_transport: SyncTransport | None = None
        self._async_transport: tuple[asyncio.AbstractEventLoop, AsyncTransport] | None = None

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

    # -- the API -----------------------------------------------------------------------------------------

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
        # Before the request: a bad filter costs none.
        wanted = parse_flag("sendable", sendable)
        accounts = self._send(list_request(channel, can_send), read_accounts)
        return filter_sendable(self._counted(accounts, channel, can_send), wanted)

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
        wanted = parse_flag("sendable", sendable)
        accounts = await self._asend(list_request(channel, can_send), read_accounts)
        return filter_sendable(self._counted(accounts, channel, can_send), wanted)

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
        return True, f"Revor answers: {len(accounts)} Connect accounts, {sendable} of them can send.{credits_left}"

    def _credits_left(self) -> str:
        if self.settings.api_version is ApiVersion.V1:
            return ""
        try:
            return f" {self.get_credits():g} credits are left."
        except RevorError as e:
            # The key is good; what is left is not worth a failed test.
            return f" The credits could not be read: {e.reason}"

    # -- sending -----------------------------------------------------------------------------------------

    def get_conn(self) -> requests.Session:
        """
        Return the session of requests: for what :meth:`request` cannot do.

        It checks certificates and uses proxies as the connection says, and gives the API key to the connection's host
        alone. Timeouts, redirects, retries and errors are up to the caller.
        """
        with ClearedFrames():
            return self._open_sync_transport().session

    @cached_property
    def settings(self) -> Settings:
        """
        What the Airflow connection says, read once.

        :raises RevorMissingConnectionError: if Airflow finds no such connection, or cannot read it.
        :raises RevorConfigurationError: if it cannot be used.
        """
        from airflow_provider_revor.hooks.settings import read_settings

        settings = read_settings(look_up(self.get_connection, self.revor_conn_id), in_form=self._in_form)
        # Airflow masks the password as it is written; the key may be only a part of that.
        mask_secret(settings.api_key)
        # Once in a process: a gate reads its connection at every poll. Nobody stands between this machine and itself.
        warns = settings.verify is False and not settings.loopback and not self._in_form
        if warns and self.revor_conn_id not in _warned_of:
            _warned_of.add(self.revor_conn_id)
            self.log.warning(
                "Connection %r says verify: false: whoever stands between can read the API key.",
                self.revor_conn_id,
            )
        return settings

    def _open_sync_transport(self) -> SyncTransport:
        from airflow_provider_revor.hooks.transport import SyncTransport

        # A task's threads share one session.
        with self._lock:
            if self._sync_transport is None:
                self._sync_transport = SyncTransport(self.settings)
            return self._sync_transport

    async def _open_async_transport(self) -> AsyncTransport:
        from asgiref.sync import sync_to_async

        from airflow_provider_revor.hooks.transport import AsyncTransport

        def make() -> AsyncTransport:
            import tenacity  # noqa: F401  # Its import, too, would hold up every other trigger.

            return AsyncTransport(self.settings)

        loop = asyncio.get_running_loop()
        if self._async_transport is None or self._async_transport[0] is not loop:
            # Looking up a connection, and reading a CA bundle, would hold up every other trigger. By asgiref: in
            # another thread of our own, the triggerers of Airflow 3.0 and 3.1 cannot reach their supervisor.
            transport = await sync_to_async(make)()
            if self._async_transport is not None and self._async_transport[0] is loop:
                # Another coroutine was faster.
                await transport.close()
            else:
                self._async_transport = loop, transport
        return self._async_transport[1]

    def _send(self, request: Request, read: Callable[[Envelope], T], *, as_is: bool = False) -> T:
        from tenacity import Retrying

        from airflow_provider_revor.hooks.retry import policy

        def attempt() -> Envelope:
            transport = self._open_sync_transport()
            with CountedRequest(self.settings.conn_id) as counted:
                response = transport.send(request)
                self.rate_limit = counted.limit = read_rate_limit(response.headers)
                return decode(request, response, self.settings.conn_id)

        with ClearedFrames():
            request = request if as_is else request.in_version(self._version)
            return read(Retrying(**policy(request, self._retries, self.log, self.settings.conn_id))(attempt))

    async def _asend(self, request: Request, read: Callable[[Envelope], T]) -> T:
        from tenacity import AsyncRetrying

        from airflow_provider_revor.hooks.retry import policy

        with ClearedFrames():
            transport = await self._open_async_transport()
            request = request.in_version(self._version)

            async def attempt() -> Envelope:
                with CountedRequest(self.settings.conn_id) as counted:
                    response = await transport.send(request)
                    self.rate_limit = counted.limit = read_rate_limit(response.headers)
                    return decode(request, response, self.settings.conn_id)

            return read(await AsyncRetrying(**policy(request, self._retries, self.log, self.settings.conn_id))(attempt))

    @property
    def _version(self) -> ApiVersion:
        return ApiVersion(self.api_version) if self.api_version else self.settings.api_version

    @property
    def _retries(self) -> int:
        return self.settings.max_retries if self.max_retries is None else self.max_retries

    def close(self) -> None:
        """Close the session; the next request opens another."""
        transport, self._sync_transport = self._sync_transport, None
        if transport:
            transport.close()

    async def aclose(self) -> None:
        """Close the awaited session; the next request opens another."""
        opened, self._async_transport = self._async_transport, None
        if opened:
            # Another loop's sockets went with it.
            with suppress(RuntimeError):
                await opened[1].close()

    def __enter__(self) -> RevorHook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> RevorHook:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
