"""
What carries a request to Revor and its answer back: requests, and httpx where it is awaited.

Neither follows redirects, nor reads ``.netrc``: the key goes to the connection's host alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_revor import __version__
from airflow_provider_revor.api.text import hide
from airflow_provider_revor.api.wire import Request, Response
from airflow_provider_revor.exceptions import RevorConnectionError
from airflow_provider_revor.hooks.exchange import Exchange
from airflow_provider_revor.hooks.no_response import no_response
from airflow_provider_revor.hooks.proxy import proxy_for
from airflow_provider_revor.hooks.receiving import ENCODINGS, Body
from airflow_provider_revor.hooks.tls import ca_bundle, speaks_tls, ssl_context
from airflow_provider_revor.hooks.turns import Turn, Turns

if TYPE_CHECKING:
    import httpx

    from airflow_provider_revor.hooks.settings import Settings

_MOST_THREADS = 64

_HEADERS = {"User-Agent": f"airflow-provider-revor/{__version__}", "Accept-Encoding": ", ".join(ENCODINGS)}

# Bytes, decoded, that are read at a time.
_PIECE = 65_536

# Seconds after which the awaited transport closes what it does not use. Servers and load balancers mostly wait longer.
_IDLE = 30.0


class SyncTransport:
    """
    Sends with one session of requests.

    :param settings: Where to, with which key, and how.
    :raises RevorConfigurationError: if the CA bundle or the proxy cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        from airflow_provider_revor.hooks.deadline import DeadlineAdapter, UnreadRedirects

        self._settings = settings
        self.session = UnreadRedirects()
        self.session.headers.update(_HEADERS)
        # requests keeps ten connections of a host, and would open one anew for each call of more threads than that.
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, DeadlineAdapter(pool_maxsize=_MOST_THREADS))
        self.session.auth = _bearer(settings)
        # What counts of the environment is read here, once for both: requests lets it outdo what the connection
        # says, would put .netrc's login in the key's place, and httpx reads it differently.
        self.session.trust_env = False
        if proxy := proxy_for(settings):
            self.session.proxies = {"http": proxy, "https": proxy}
        self.session.verify = ca_bundle(settings)
        if isinstance(self.session.verify, str) and speaks_tls(settings, proxy):
            # One that cannot be read is told of as that; requests would speak of the network.
            ssl_context(settings)

    def send(self, request: Request) -> Response:
        """
        Send a request once.

        :raises RevorConnectionError: if no whole answer came.
        :raises RevorResponseError: if a success is larger than the connection allows.
        """
        from urllib3.exceptions import HTTPError

        from airflow_provider_revor.hooks.deadline import deadline

        try:
            with (
                deadline(self._settings.timeout),
                self.session.request(
                    request.method,
                    self._settings.base_url + request.path,
                    params=dict(request.params),
                    data=request.content,
                    headers=request.headers,
                    timeout=self._settings.timeout,
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                body = Body(self._settings, answer.headers)
                # `read1` returns early, so that the bound on the size is checked as the body comes.
                while body.readable and (piece := answer.raw.read1(_PIECE, decode_content=True)):
                    body.add(piece)
        # Each of requests' own errors is an OSError.
        except (OSError, HTTPError) as e:
            failure = no_response(request, self._settings, e)
        else:
            return body.response(request, answer.status_code)
        # Raised here, without a cause or context: the library's error holds the request, and with it the API key.
        raise failure

    def close(self) -> None:
        """Close the session's connections."""
        self.session.close()


class AsyncTransport:
    """
    Sends with one client of httpx; belongs to the event loop that it first sends on.

    All triggers that wait on a connection share it: see :mod:`.sharing`. It closes its connections when it has not been
    used for a while, and opens new ones when it is used again.

    :param settings: Where to, with which key, and how.
    :raises RevorConfigurationError: if the CA bundle or the proxy cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._proxy = proxy_for(settings)
        # Loading a CA bundle takes longer than a request, so it is not done for nothing.
        self._tls = ssl_context(settings) if speaks_tls(settings, self._proxy) else None
        self._turns = Turns()
        self._keep = _IDLE
        self._callers = 0
        self._exchanges: set[asyncio.Task[Response]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self.client = self._new_client()

    def serves(self, other: AsyncTransport) -> bool:
        """
        Return whether this one sends just as another one.

        :param other: The other one.
        """
        # A CA bundle that was replaced makes another context.
        return (self.settings, self._proxy, self._tls) == (other.settings, other._proxy, other._tls)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait for a request's turn, and have it for the time of the ``async with``; give it to :meth:`send`."""
        self._callers += 1
        try:
            async with self._turns.next() as turn:
                yield turn
        finally:
            self._callers -= 1
            self._rest()

    async def send(self, request: Request, turn: Turn) -> Response:
        """
        Send a request once.

        :param request: The request.
        :param turn: Its turn, which lasts until the request has ended, even if the caller is cancelled before.
        :raises RevorConnectionError: if no whole answer came.
        :raises RevorResponseError: if a success is larger than the connection allows.
        """
        exchange = asyncio.create_task(self._exchange(request))
        turn.covers(exchange)
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._end)
        # httpcore may lose a connection whose request is cancelled. This goes on to its end without its caller.
        await asyncio.wait([exchange])
        return exchange.result()

    def retire(self) -> None:
        """Close the connections as soon as they are unused, because the Airflow connection has changed."""
        self._keep = 0.0
        self._rest()

    async def close(self) -> None:
        """Close the client's connections."""
        if self._timer:
            self._timer.cancel()
        await self.client.aclose()

    async def _exchange(self, request: Request) -> Response:
        if self.client.is_closed:
            self.client = self._new_client()
        until = asyncio.get_running_loop().time() + self.settings.timeout
        exchange = Exchange(self.settings, request, until)
        try:
            return await exchange.run(self.client)
        except RevorConnectionError as e:
            failure = e
        if not (exchange.stale and request.repeatable):
            raise failure
        # The server closed an idle connection just when it was used again; others may be closed as well.
        async with self._new_client() as fresh:
            return await Exchange(self.settings, request, until).run(fresh)

    def _end(self, exchange: asyncio.Task[Response]) -> None:
        self._exchanges.discard(exchange)
        if not exchange.cancelled():
            # Asked for here, lest asyncio complains about an error that no caller is left to see.
            exchange.exception()
        self._rest()

    @property
    def _unused(self) -> bool:
        return not self._callers and not self._exchanges

    def _rest(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._unused and not self.client.is_closed:
            self._timer = asyncio.get_running_loop().call_later(self._keep, self._close_soon)

    def _close_soon(self) -> None:
        self._closing = asyncio.get_running_loop().create_task(self._close_if_unused())

    async def _close_if_unused(self) -> None:
        if self._unused:
            await self.close()

    def _new_client(self) -> httpx.AsyncClient:
        import ssl
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        # A bare context trusts nobody.
        tls = self._tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        proxy = self._proxy
        is_tls_proxy = proxy is not None and proxy.startswith("https")
        return httpx.AsyncClient(
            auth=_bearer(self.settings),
            headers=_HEADERS,
            # No response's cookie goes along with another task's request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=self.settings.timeout,
            # Turns are the bound: who waits for one has not begun, and so cannot time out.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_IDLE),
            follow_redirects=False,
            trust_env=False,
            proxy=httpx.Proxy(proxy, ssl_context=tls if is_tls_proxy else None) if proxy else None,
            verify=tls,
        )


def _bearer(settings: Settings) -> Callable[[Any], Any]:
    # requests and httpx both take a callable that gets the request and gives it back. Whatever else is sent
    # with the session, the key goes to the connection's host alone.
    home = _origin(settings.base_url)
    # A peer that gets the key may repeat it.
    hide(settings.api_key)

    def sign(request: Any) -> Any:
        if _origin(str(request.url)) == home:
            request.headers["Authorization"] = f"Bearer {settings.api_key}"
        return request

    return sign


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
