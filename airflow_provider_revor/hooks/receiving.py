"""What has been received of a response; the same for requests and httpx."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_revor.api.errors import technical
from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.api.wire import Request, Response
from airflow_provider_revor.exceptions import RevorResponseError
from airflow_provider_revor.hooks.no_response import no_response

if TYPE_CHECKING:
    from airflow_provider_revor.hooks.settings import Settings

# What both libraries can unpack piece by piece.
ENCODINGS = ("gzip", "deflate")

_LENGTHS = {"content-length", "transfer-encoding"}


class Body:
    """What has come of an answer so far: no larger than the connection allows."""

    def __init__(self, settings: Settings, headers: Mapping[str, str]) -> None:
        self._settings = settings
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._pieces: list[bytes] = []
        self._room = settings.max_response_mb * 1_000_000
        # What is packed more than once is unpacked as a whole, however large that is.
        plain = self._headers.get("content-encoding", "").strip().lower() in ("", "identity", *ENCODINGS)
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
