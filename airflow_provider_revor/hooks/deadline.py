"""
A deadline for a whole response of requests.

The timeouts of requests and urllib3 are for each address of a host and each read of the socket: a peer that sends one
byte before each of them expires, in the headers or between chunks, would hold a worker for ever. Here each read may
take only what is left, and an address that does not respond leaves time for the others.

Imports requests; import it where a request is sent.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any

from requests import Response, Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

# Of the time for a request, what each address of a host has for a connection; and no less than this, in seconds.
_SHARE, _SHORTEST = 0.25, 0.01

_DEADLINE: ContextVar[float | None] = ContextVar("revor_deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """
    Give what is received within this block, over a :class:`DeadlineAdapter`, so many seconds in all.

    :param seconds: From now on.
    :raises TimeoutError: in place of a read that begins later, or of what requests makes of it.
    """
    token = _DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


class _DeadlineReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, raw: io.RawIOBase, end: float) -> None:
        self._sock = sock
        self._raw = raw
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        usual = self._sock.gettimeout()
        self._sock.settimeout(left if usual is None else min(left, usual))
        try:
            return self._raw.readinto(buffer)
        finally:
            self._sock.settimeout(usual)

    def close(self) -> None:
        super().close()
        self._raw.close()


class DeadlineResponse(HTTPResponse):
    """What http.client reads headers and body with; keeps to the deadline that it was made under."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if (end := _DEADLINE.get()) is not None:
            self.fp = io.BufferedReader(_DeadlineReader(sock, self.fp.detach(), end))


class _Options(list[Any]):
    """A socket's options. urllib3 sets them for each address of a host, and gives each the whole timeout."""

    def __iter__(self) -> Iterator[Any]:
        if (end := _DEADLINE.get()) is not None and time.monotonic() >= end:
            raise TimeoutError("timed out")
        return super().__iter__()


class _Connection(HTTPConnection):
    response_class = DeadlineResponse

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.socket_options = _Options(self.socket_options or ())

    def _new_conn(self) -> socket.socket:
        # The first address may be one that nothing comes from, such as of IPv6 behind a firewall: httpx tries the next
        # one meanwhile. Here each has a share of the time, and all that is left if none has responded.
        if (end := _DEADLINE.get()) is None:
            return super()._new_conn()
        usual = self.timeout
        try:
            self.timeout = max((end - time.monotonic()) * _SHARE, _SHORTEST)
            sock = super()._new_conn()
        except ConnectTimeoutError:
            self.timeout = max(end - time.monotonic(), _SHORTEST)
            sock = super()._new_conn()
        finally:
            self.timeout = usual
        sock.settimeout(usual)
        return sock


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class DeadlineAdapter(HTTPAdapter):
    """Sends as requests does; what it receives within :func:`deadline` keeps to that."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools for hosts that are reached directly."""
        super().init_poolmanager(*args, **kwargs)
        _use_deadlines(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Make, or return, the pools for a proxy."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        _use_deadlines(manager)
        return manager


class UnreadRedirects(Session):
    """
    Leaves a redirect that is not followed as it is.

    Even where redirects are off, requests prepares the next request: it parses the address, which may raise anything,
    and reads the whole body, however large.
    """

    def resolve_redirects(self, *args: Any, yield_requests: bool = False, **kwargs: Any) -> Iterator[Response]:
        """Follow redirects if they are to be followed."""
        if not yield_requests:
            yield from super().resolve_redirects(*args, **kwargs)


def _use_deadlines(manager: Any) -> None:
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
