"""How a hook sends: its Airflow connection, its sessions, retries and errors."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_revor.api.answers import Envelope, decode
from airflow_provider_revor.api.limits import RateLimit, read_rate_limit
from airflow_provider_revor.api.versions import ApiVersion, parse_version
from airflow_provider_revor.api.wire import Request, Response
from airflow_provider_revor.hooks.frames import ClearedFrames
from airflow_provider_revor.hooks.lookup import look_up
from airflow_provider_revor.metrics import CountedRequest
from airflow_provider_revor.version_compat import mask_secret

if TYPE_CHECKING:
    from types import TracebackType

    import requests

    from airflow_provider_revor.hooks.settings import Settings
    from airflow_provider_revor.hooks.transport import AsyncTransport, SyncTransport

T = TypeVar("T")

_warned_of: set[str] = set()


class SendingHook(BaseHook):
    """
    The part of :class:`.RevorHook` below the endpoints; its arguments are described there.

    An endpoint is a request and a function that reads its response: :meth:`_send` sends the one and returns what the
    other makes of the response, and :meth:`_asend` does the same, awaited.
    """

    def __init__(
        self, revor_conn_id: str, *, max_retries: int | None = None, api_version: str | None = None, **kwargs: Any
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

    @cached_property
    def settings(self) -> Settings:
        """
        What the Airflow connection says, read once.

        :raises RevorMissingConnectionError: if Airflow finds no such connection, or cannot read it.
        :raises RevorConfigurationError: if it cannot be used.
        """
        return self._read_settings()

    def get_conn(self) -> requests.Session:
        """
        Return the session of requests: for what :meth:`.RevorHook.request` cannot do.

        It checks certificates and uses proxies as the connection says, and gives the API key to the connection's host
        alone. Timeouts, redirects, retries and errors are up to the caller.
        """
        with ClearedFrames():
            return self._open_sync_transport().session

    def _send(self, request: Request, read: Callable[[Envelope], T], *, as_is: bool = False) -> T:
        from tenacity import Retrying

        with ClearedFrames():
            transport = self._open_sync_transport()
            request = request if as_is else request.in_version(self._version)

            def attempt() -> Envelope:
                with CountedRequest(self.settings.conn_id) as counted:
                    return self._received(request, transport.send(request), counted)

            return read(Retrying(**self._policy(request))(attempt))

    async def _asend(self, request: Request, read: Callable[[Envelope], T]) -> T:
        from tenacity import AsyncRetrying

        with ClearedFrames():
            transport = await self._open_async_transport()
            request = request.in_version(self._version)

            async def attempt() -> Envelope:
                async with transport.turn() as turn:
                    with CountedRequest(self.settings.conn_id) as counted:
                        return self._received(request, await transport.send(request, turn), counted)

            return read(await AsyncRetrying(**self._policy(request))(attempt))

    def _policy(self, request: Request) -> dict[str, Any]:
        from airflow_provider_revor.hooks.retry import policy

        retries = self.settings.max_retries if self.max_retries is None else self.max_retries
        return policy(request, retries, self.log, self.settings.conn_id)

    def _received(self, request: Request, response: Response, counted: CountedRequest) -> Envelope:
        self.rate_limit = counted.limit = read_rate_limit(response.headers)
        return decode(request, response, self.settings.conn_id)

    @property
    def _version(self) -> ApiVersion:
        return parse_version(self.api_version) if self.api_version else self.settings.api_version

    def _read_settings(self) -> Settings:
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
        loop = asyncio.get_running_loop()
        if self._async_transport is None or self._async_transport[0] is not loop:
            from airflow_provider_revor.hooks.sharing import Transports

            transports, connection = await Transports.here(), (type(self), self.revor_conn_id)
            if known := vars(self).get("settings"):
                transport = await transports.join(connection, known)
            else:
                transport = await transports.read(connection, self._read_settings)
                self.settings = transport.settings
            self._async_transport = loop, transport
        return self._async_transport[1]

    def close(self) -> None:
        """Close the session; the next request opens another."""
        transport, self._sync_transport = self._sync_transport, None
        if transport:
            transport.close()

    async def aclose(self) -> None:
        """
        Leave the awaited session.

        All hooks for the Airflow connection share it in an event loop. It is closed when nobody has used it for half a
        minute, and when the loop ends.
        """
        self._async_transport = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
