"""
What carries a request to Revor and its answer back: requests, and httpx where it is awaited.

Neither follows redirects, nor reads ``.netrc``: the key goes to the connection's host alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_provider_revor import __version__
from airflow_provider_revor.api.errors import technical
from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.api.text import hide
from airflow_provider_revor.api.wire import Request, Response
from airflow_provider_revor.exceptions import RevorConfigurationError, RevorResponseError
from airflow_provider_revor.hooks.addresses import PROXY_FORM, read_proxy
from airflow_provider_revor.hooks.no_response import no_response
from airflow_provider_revor.hooks.tls import ca_bundle, speaks_tls, ssl_context

if TYPE_CHECKING:
    from airflow_provider_revor.hooks.settings import Settings

_MOST_THREADS = 64

# What both libraries can unpack piece by piece.
_ENCODINGS = ("gzip", "deflate")
_HEADERS = {"User-Agent": f"airflow-provider-revor/{__version__}", "Accept-Encoding": ", ".join(_ENCODINGS)}
_LENGTHS = {"content-length", "transfer-encoding"}

# Bytes, decoded, that are read at a time.
_PIECE = 65_536


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
        if proxy := _proxy(settings):
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
                body = _Body(self._settings, answer.headers)
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

    :param settings: Where to, with which key, and how.
    :raises RevorConfigurationError: if the CA bundle or the proxy cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        import ssl

        import httpx

        self._settings = settings
        proxy = _proxy(settings)
        # Loading a CA bundle takes longer than a request, so it is not done for nothing. A bare context trusts nobody.
        context = ssl_context(settings) if speaks_tls(settings, proxy) else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        is_tls_proxy = proxy is not None and proxy.startswith("https")
        self.client = httpx.AsyncClient(
            auth=_bearer(settings),
            headers=_HEADERS,
            timeout=settings.timeout,
            follow_redirects=False,
            trust_env=False,
            proxy=httpx.Proxy(proxy, ssl_context=context if is_tls_proxy else None) if proxy else None,
            verify=context,
        )

    async def send(self, request: Request) -> Response:
        """
        Send a request once.

        :raises RevorConnectionError: if no whole answer came.
        :raises RevorResponseError: if a success is larger than the connection allows.
        """
        import httpx

        try:
            # httpx's timeout is for each read of the socket.
            async with (
                asyncio.timeout(self._settings.timeout),
                self.client.stream(
                    request.method,
                    self._settings.base_url + request.path,
                    params=dict(request.params),
                    content=request.content,
                    headers=request.headers,
                ) as answer,
            ):
                body = _Body(self._settings, answer.headers)
                if body.readable:
                    async for piece in answer.aiter_bytes():
                        if not body.add(piece):
                            break
        # The last two are of hosts that only look like some.
        except (httpx.RequestError, OSError, httpx.InvalidURL, UnicodeError) as e:
            failure = no_response(request, self._settings, e)
        else:
            return body.response(request, answer.status_code)
        # Raised here, without a cause or context: the library's error holds the request, and with it the API key.
        raise failure

    async def close(self) -> None:
        """Close the client's connections."""
        await self.client.aclose()


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


def _proxy(settings: Settings) -> str | None:
    """Return the proxy that carries requests to the connection's host, if one does."""
    from requests.utils import get_environ_proxies, select_proxy

    proxies = dict(settings.proxies)
    if not proxies and not settings.loopback:
        proxies = get_environ_proxies(settings.base_url)
    proxy: str | None = select_proxy(settings.base_url, proxies)
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy:
        return None
    try:
        usable = read_proxy(proxy)
    except ValueError as e:
        why = str(e)
    else:
        # A proxy may repeat the password that it got.
        hide(unquote(urlsplit(usable).password or ""))
        return usable
    # Outside of the `except` block, so that no context of the error leads to the proxy's password.
    raise RevorConfigurationError.of(
        Names.of(settings.conn_id).fill(
            f"{{connection}} would use a proxy of the environment that is no proxy: {why}."
        ),
        f"Set HTTP_PROXY and HTTPS_PROXY {PROXY_FORM}; or name a proxy in the connection's extra `proxies`, or its "
        "host in NO_PROXY.",
    )


class _Body:
    """What has come of an answer so far: no larger than the connection allows."""

    def __init__(self, settings: Settings, headers: Mapping[str, str]) -> None:
        self._settings = settings
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._pieces: list[bytes] = []
        self._room = settings.max_response_mb * 1_000_000
        # What is packed more than once is unpacked as a whole, however large that is.
        plain = self._headers.get("content-encoding", "").strip().lower() in ("", "identity", *_ENCODINGS)
        self._unread = "" if plain else "a body that is compressed in a way that was not asked for"

    @property
    def readable(self) -> bool:
        """Whether more of it is wanted."""
        return not self._unread

    def add(self, piece: bytes) -> bool:
        """Keep a piece; return whether more of it is wanted."""
        self._room -= len(piece)
        self._pieces.append(piece)
        if self._room < 0:
            self._unread = f"a body larger than {self._settings.max_response_mb:g} MB"
        return self.readable

    def response(self, request: Request, status: int) -> Response:
        """Return the response; that of an error may do without its body, because the status says enough."""
        content = b"" if self._unread else b"".join(self._pieces)
        if status < 300 and self._unread:
            names = Names.of(self._settings.conn_id)
            raise RevorResponseError.of(
                f"The response on {names.connection} was not read: it has {self._unread}.",
                "Ask for less, such as one channel; or allow more with the connection's extra `max_response_mb`."
                if self._room < 0
                else names.fill("Check {host}, and what stands between Revor and Airflow."),
                technical(f"{request.method} {request.path}", status),
                status_code=status,
            )
        if status < 300 and status != 204 and not content and self._headers.keys().isdisjoint(_LENGTHS):
            # To requests, an end within the headers is their end.
            raise no_response(request, self._settings, ConnectionError("the connection was closed"))
        return Response(status, self._headers, content, time.time(), self._unread)
