"""A server on loopback that answers by raw bytes, or not at all: what a test tells it to do is what happens."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

# What a server does with the connection, once it has read the request.
Answer = Callable[[socket.socket], None]

_REASON = {200: "OK", 202: "Accepted"}


def http(status: int = 200, body: Any = None, *, length: int | None = None, **headers: str) -> bytes:
    """An answer as it goes over the wire; what is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content) if length is None else length),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {_REASON.get(status, 'Something')}\r\n{head}\r\n".encode() + content


def zipped(content: bytes) -> bytes:
    return http(200, gzip.compress(content), Content_Encoding="gzip")


def send(content: bytes) -> Answer:
    return lambda connection: connection.sendall(content)


def reset(after: bytes = b"") -> Answer:
    """Send this much, then have the client's system say that the connection was reset."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(after)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return answer


def stall(after: bytes = b"") -> Answer:
    """Send this much, then nothing until the client has had enough."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(after)
        connection.recv(1)

    return answer


def drip(whole: bytes, pause: float) -> Answer:
    """Send the head, then a byte of the body after each pause."""

    def answer(connection: socket.socket) -> None:
        head, _, body = whole.partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        for byte in body:
            # time.sleep is a fake one here.
            threading.Event().wait(pause)
            connection.sendall(bytes([byte]))

    return answer


def trickle(content: bytes, pause: float) -> Answer:
    """Send this over and over for as long as the client reads, a byte after each pause."""

    def answer(connection: socket.socket) -> None:
        for byte in cycle(content):
            threading.Event().wait(pause)
            connection.sendall(bytes([byte]))

    return answer


class Peer:
    """
    A server, for the time of a ``with``.

    :param answer: Returns what to do with a request: ``("GET", "/api/v1/…")`` in, an :data:`Answer` out.
    :param tls: The certificate and key to speak TLS with; None for plain HTTP.
    """

    def __init__(self, answer: Callable[[str, str], Answer], tls: Path | None = None) -> None:
        self.answer = answer
        self.heads: list[str] = []
        self._tls = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Peer:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone does not wake who waits in accept().
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        # What the client does not wait for is not the server's trouble.
        with suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                head = _read_request(connection)
                self.heads.append(head)
                method, path, _ = head.split(" ", 2)
                self.answer(method, path)(connection)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)


def _read_request(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
        if data.startswith(b"\x16"):
            # TLS, which is not spoken here.
            connection.sendall(http(400, b""))
            raise ConnectionError("This is no HTTP.")
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            while len(body) < int(value):
                body += _some(connection)
    return head.decode("latin-1")


def _some(connection: socket.socket) -> bytes:
    if not (data := connection.recv(65_536)):
        raise ConnectionError("The client went away.")
    return data


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """Make a CA, and with it a certificate for 127.0.0.1; return the CA's file and the server's."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.now(UTC)

    def certificate(name, key, issuer, signer, *extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca, server = folder / "ca.pem", folder / "server.pem"
    ca.write_bytes(
        certificate(
            "A company's CA",
            ca_key,
            "A company's CA",
            ca_key,
            x509.BasicConstraints(ca=True, path_length=None),
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage),
        )
    )
    server.write_bytes(
        certificate(
            "127.0.0.1",
            key,
            "A company's CA",
            ca_key,
            x509.BasicConstraints(ca=False, path_length=None),
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
        )
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ca, server
