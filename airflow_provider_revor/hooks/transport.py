"""
What carries a request to Revor and its answer back: requests, and httpx where it is awaited.

Neither follows redirects, nor reads ``.netrc``: the key goes to the connection's host alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_revor import __version__
from airflow_provider_revor.api.wire import Request, Response
from airflow_provider_revor.exceptions import RevorConnectionError

if TYPE_CHECKING:
    import ssl

    from airflow_provider_revor.hooks.settings import Settings

USER_AGENT = f"airflow-provider-revor/{__version__}"


class SyncTransport:
    """
    Sends with one session of requests.

    :param settings: Where to, with which key, and how.
    """

    def __init__(self, settings: Settings) -> None:
        import requests

        self._settings = settings
        self.session = requests.Session()
        self.session.headers["User-Agent"] = USER_AGENT
        # As an auth callable, not as a header: for want of one, requests would put .netrc's login in its place.
        self.session.auth = _bearer(settings)
        self.session.trust_env = not settings.loopback

    def send(self, request: Request) -> Response:
        """
        Send a request once.

        :raises RevorConnectionError: if no whole answer came.
        """
        import requests

        try:
            answer = self.session.request(
                request.method,
                self._settings.base_url + request.path,
                params=dict(request.params),
                data=request.content,
                headers=request.headers,
                timeout=self._settings.timeout,
                # Given here, not set on the session, where variables of the environment would outdo them.
                verify=_trusted(self._settings),
                proxies=dict(self._settings.proxies),
                allow_redirects=False,
            )
        except requests.RequestException as e:
            raise _no_answer(request, self._settings, e, timed_out=isinstance(e, requests.Timeout)) from e
        return _response(answer.status_code, answer.headers, answer.content, self._settings)

    def close(self) -> None:
        """Close the session's connections."""
        self.session.close()


class AsyncTransport:
    """
    Sends with one client of httpx; belongs to the event loop that it first sends on.

    :param settings: Where to, with which key, and how.
    """

    def __init__(self, settings: Settings) -> None:
        import httpx

        self._settings = settings
        context = _ssl_context(_trusted(settings))
        self.client = httpx.AsyncClient(
            auth=_bearer(settings),
            headers={"User-Agent": USER_AGENT},
            timeout=settings.timeout,
            follow_redirects=False,
            trust_env=not settings.loopback,
            verify=context,
            mounts={
                f"{scheme}://": httpx.AsyncHTTPTransport(proxy=proxy, verify=context)
                for scheme, proxy in settings.proxies.items()
            },
        )

    async def send(self, request: Request) -> Response:
        """
        Send a request once.

        :raises RevorConnectionError: if no whole answer came.
        """
        import httpx

        try:
            answer = await self.client.request(
                request.method,
                self._settings.base_url + request.path,
                params=dict(request.params),
                content=request.content,
                headers=request.headers,
            )
        except httpx.RequestError as e:
            timed_out = isinstance(e, httpx.TimeoutException)
            raise _no_answer(request, self._settings, e, timed_out=timed_out) from e
        return _response(answer.status_code, answer.headers, answer.content, self._settings)

    async def close(self) -> None:
        """Close the client's connections."""
        await self.client.aclose()


def _bearer(settings: Settings) -> Callable[[Any], Any]:
    # requests and httpx both take a callable that gets the request and gives it back. Whatever else is sent
    # with the session, the key goes to the connection's host alone.
    home = _origin(settings.base_url)

    def sign(request: Any) -> Any:
        if _origin(str(request.url)) == home:
            request.headers["Authorization"] = f"Bearer {settings.api_key}"
        return request

    return sign


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _trusted(settings: Settings) -> bool | str:
    # requests reads these variables and httpx does not; a company's CA must count for both.
    if settings.verify is True:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    return settings.verify


@lru_cache(maxsize=8)
def _ssl_context(verify: bool | str) -> ssl.SSLContext:
    # Reading a CA bundle takes longer than a request, and a trigger makes a client for every poll.
    import ssl

    import httpx

    if isinstance(verify, bool):
        return httpx.create_ssl_context(verify=verify)
    if os.path.isdir(verify):
        return ssl.create_default_context(capath=verify)
    return ssl.create_default_context(cafile=verify)


def _response(status: int, headers: Mapping[str, str], content: bytes, settings: Settings) -> Response:
    if status >= 300:
        # What refuses a key may quote it, and what it says goes into messages and logs.
        content = content.replace(settings.api_key.encode(), b"***")
    return Response(status, {name.lower(): value for name, value in headers.items()}, content, time.time())


def _no_answer(request: Request, settings: Settings, error: Exception, *, timed_out: bool) -> RevorConnectionError:
    cause: BaseException = error
    while following := cause.__cause__ or cause.__context__:
        cause = following
    why = f"timed out after {settings.timeout:g} s" if timed_out else str(cause) or type(cause).__name__
    return RevorConnectionError(
        f"No answer from {settings.base_url} to {request.method} {request.path} on connection "
        f"{settings.conn_id!r}: {why}. Check the connection's host, and the network and proxies from this machine."
    )
