from __future__ import annotations

import socket

import pytest
from faults.peer import Peer, make_certificates
from faults.stage import Stage


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A CA's file, and the file of a certificate for 127.0.0.1 that it has signed."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def stage(connect, monkeypatch, certificates):
    """Return a function that sets a row of the fault table up."""
    ca, certificate = certificates
    stage = Stage(monkeypatch, connect)
    look_up = socket.getaddrinfo

    def unknown(host, *args, **kwargs):
        # Not asked of a real name server, which may take its time.
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    def kind(path):
        return "accounts" if path.startswith("/api/v1/connect/accounts") else "job"

    with Peer(stage.healthy_answer) as healthy, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        stage.healthy = healthy
        peers = []

        def set_up(row, lasts=None, after=1):
            tls = certificate if row.place in ("tls", "trusted") else None
            peer = Peer(lambda method, path: row.answer(kind(path)), tls)
            peers.append(peer.__enter__())
            host = {
                "closed": f"http://127.0.0.1:{closed.getsockname()[1]}",
                "nowhere": "https://revor.invalid",
                "http": f"https://127.0.0.1:{peer.port}",
            }.get(row.place, peer.url)
            trust = {"verify": str(ca)} if row.place == "trusted" else {}
            stage.begin({"host": host, "extra": {**row.extra, **trust}}, lasts, after)
            stage.peer = peer
            return stage

        stage.set_up = set_up
        yield stage
        for peer in peers:
            peer.__exit__()
