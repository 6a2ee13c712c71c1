"""What comes before everything else: loopback hosts only, JSON only, and bodies of a bounded size."""

from __future__ import annotations

import re
import secrets
from email.utils import format_datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_revor.sandbox.contract.errors import error_response, is_api_path
from airflow_provider_revor.sandbox.world.world import World

#: The longest body; a list of 5,000 accounts has about a tenth of it, a dispatch with some attachments fits.
MAX_BODY = 10 * 1024 * 1024

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)


class Guard:
    """
    Rejects what no client of the sandbox's sends, but a web page in a browser on this machine may.

    A name that was rebound to 127.0.0.1 comes with a foreign Host, a page's own request with an Origin or without a
    JSON Content-Type.

    Every response has the Date of the sandbox's own clock.

    :param app: what handles the other requests.
    :param world: the world that has the clock.
    """

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI defines it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("date", format_datetime(self._world.clock().now, usegmt=True))
            await send(message)

        problem = _problem(scope)
        messages = [] if problem else await _read(receive)
        if messages is None:
            problem = 413, f"The body is longer than {MAX_BODY} bytes."
        if problem:
            await _reject(scope, *problem)(scope, receive, dated)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, dated)


def _problem(scope: Scope) -> tuple[int, str] | None:
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        return 403, "The sandbox is for this machine only: the Host must be 127.0.0.1, localhost or [::1]."
    if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
        return 403, "The sandbox takes no requests of other origins."
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    # Revor's API needs a key, which no foreign page has; there, clients may leave the type out.
    if has_body and content_type != "application/json" and (content_type or not is_api_path(scope["path"])):
        return 415, "Bodies are JSON: send Content-Type: application/json."
    return None


async def _read(receive: Receive) -> list[Message] | None:
    # To the end, even if it is too long: a client that still sends would not see the response.
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if size <= MAX_BODY:
            messages.append(message)
        else:
            messages.clear()
        if not message.get("more_body"):
            return messages if size <= MAX_BODY else None


def _reject(scope: Scope, status: int, message: str) -> JSONResponse:
    if is_api_path(scope["path"]):
        return error_response(f"req_{secrets.token_hex(8)}", status, message=message)
    return JSONResponse({"detail": message}, status)
