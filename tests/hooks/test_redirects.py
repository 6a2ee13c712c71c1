"""Redirects: never followed, so neither their bodies nor their addresses matter."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import closing

import pytest

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook

ENDLESS = b"x" * 1_000_000


@pytest.fixture
def redirecting(monkeypatch):
    """A server whose every response redirects; returns how many bytes of a long body a client took."""
    taken = []

    def start(location: bytes, megabytes: int = 0):
        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with closing(connection):
                    connection.recv(65_536)
                    connection.sendall(
                        b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: " + location + b"\r\n\r\n"
                    )
                    for _ in range(megabytes):
                        try:
                            connection.sendall(ENDLESS)
                        except OSError:
                            break
                        taken.append(len(ENDLESS))

        threading.Thread(target=serve, daemon=True).start()
        uri = {
            "conn_type": "revor",
            "password": "sk-revor-test",
            "host": f"http://127.0.0.1:{server.getsockname()[1]}",
            "extra": {"max_retries": 0, "max_response_mb": 2},
        }
        monkeypatch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", json.dumps(uri))
        return taken

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield start


@pytest.mark.parametrize(
    "location",
    [
        pytest.param(b"http://[", id="a bracket"),
        pytest.param(b"http://[::1", id="half an address"),
        pytest.param(b"http://\xff\xfe/", id="not UTF-8"),
        pytest.param(b"https://x:port/", id="a port of letters"),
        pytest.param(b"//", id="no host"),
    ],
)
@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "awaited"])
def test_an_unreadable_address_is_an_error_that_may_pass(redirecting, location, awaited):
    redirecting(location)
    hook = RevorHook()
    with pytest.raises(e.RevorTransientError):
        asyncio.run(hook.alist_connect_accounts()) if awaited else hook.list_connect_accounts()
    hook.close()


def test_the_body_of_a_redirect_is_no_larger_than_others(redirecting):
    taken = redirecting(b"/elsewhere", megabytes=50)
    with RevorHook() as hook, pytest.raises(e.RevorResponseError, match="a redirect to the same host"):
        hook.list_connect_accounts()
    assert sum(taken) < 20_000_000


def test_the_session_of_get_conn_can_still_follow(revor_sandbox):
    revor_sandbox.answer(307, "", headers={"Location": "/api/v1/connect/accounts"})
    with RevorHook() as hook:
        response = hook.get_conn().get(f"{revor_sandbox.url}/api/v1/moved", timeout=10)
    assert [one.status_code for one in (*response.history, response)] == [307, 200]
