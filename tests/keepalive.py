"""A server on loopback that keeps connections open, and counts them."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from factories import job, resource


class Handler(BaseHTTPRequestHandler):
    """One connection: each request is what ``server.answer`` makes of it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: KeepAlive

    def do_GET(self) -> None:
        self.server.requests.append((self.client_address, dict(self.headers), self.path))
        self.server.answer(self)

    def send(self, status: int = 200, body: Any = None, **headers: str) -> None:
        """Send a response; by default, the job of this request, which has succeeded."""
        content = json.dumps(body or resource(job(id=self.path.rpartition("/")[2]))).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def drop(self) -> None:
        """Close the connection, and say nothing."""
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


class KeepAlive(ThreadingHTTPServer):
    """
    The server, for the time of a ``with``.

    :param certificate: The certificate and key to speak TLS with; None for plain HTTP.
    :param host: The address to listen at.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, certificate: Path | None = None, host: str = "127.0.0.1") -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.answer: Callable[[Handler], None] = Handler.send
        #: The peer, the headers and the path of each request.
        self.requests: list[tuple[Any, dict[str, str], str]] = []
        #: The connections there ever were (over TLS: the handshakes), and those that are open.
        self.connections: list[Any] = []
        self.open: set[Any] = set()
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        super().__init__((host, 0), Handler)
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if certificate else 'http'}://{name}:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> KeepAlive:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def keys(self) -> list[str]:
        """The API key of each request."""
        return [headers["Authorization"].removeprefix("Bearer ") for _, headers, _ in self.requests]

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(client_address)
        self.open.add(client_address)
        try:
            # In the connection's own thread.
            with self._tls.wrap_socket(request, server_side=True) if self._tls else request as connection:
                super().finish_request(connection, client_address)
        finally:
            self.open.discard(client_address)

    def handle_error(self, *_: object) -> None:
        """Say nothing: what the client does not wait for is not the server's trouble."""
