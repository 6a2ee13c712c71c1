"""One awaited request and its response, over httpx."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.api.wire import Request, Response
from airflow_provider_revor.hooks.no_response import no_response
from airflow_provider_revor.hooks.receiving import Body

if TYPE_CHECKING:
    import httpx

    from airflow_provider_revor.hooks.settings import Settings


class Exchange:
    """
    One request and its response.

    :param settings: Where to, and with which bounds.
    :param request: The request.
    :param until: The moment by which the response is to be complete, by the event loop's clock.
    """

    def __init__(self, settings: Settings, request: Request, until: float) -> None:
        self._settings = settings
        self._request = request
        self._until = until
        self._connects = False
        #: Whether a connection that had been idle was lost before it gave any response.
        self.stale = False

    async def run(self, client: httpx.AsyncClient) -> Response:
        """
        Send the request, and return the response.

        :param client: What to send with.
        :raises RevorConnectionError: if no whole answer came.
        :raises RevorResponseError: if a success is larger than the connection allows.
        """
        import httpx

        settings, request = self._settings, self._request
        answered = False
        try:
            # httpx's timeout is for each read of the socket.
            async with (
                asyncio.timeout_at(self._until),
                client.stream(
                    request.method,
                    settings.base_url + request.path,
                    params=dict(request.params),
                    content=request.content,
                    headers=request.headers,
                    extensions={"trace": self._trace},
                ) as answer,
            ):
                answered = True
                body = Body(settings, answer.headers)
                if body.readable:
                    async for piece in answer.aiter_bytes():
                        if not body.add(piece):
                            break
        # The last two are of hosts that only look like some.
        except (httpx.RequestError, OSError, httpx.InvalidURL, UnicodeError) as e:
            # A protocol error has a deeper cause if something came that is not HTTP.
            silent = isinstance(e, httpx.RemoteProtocolError) and not getattr(e.__cause__, "__context__", None)
            lost = silent or isinstance(e, httpx.NetworkError)
            self.stale = lost and not answered and not self._connects
            failure = no_response(request, settings, e)
        else:
            return body.response(request, answer.status_code)
        # Raised here, without a cause or context: the library's error holds the request, and with it the API key.
        raise failure

    async def _trace(self, event: str, _: Any) -> None:
        # By httpcore, at each step of a request.
        if event == "connection.connect_tcp.started":
            self._connects = True
