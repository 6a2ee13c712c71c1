"""What a peer sends byte by byte ends with the connection's timeout, whichever part of the response it is."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from both_ways import both
from factories import item, listing
from faults.peer import Peer, http, make_certificates, trickle

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.deadline import DeadlineResponse, deadline
from airflow_provider_revor.hooks.revor import RevorHook


@both
@pytest.mark.parametrize("host", ["https://revor.test", "http://revor.test"], ids=["tunnel", "forwarded"])
def test_a_proxy_that_trickles_is_left(connect, ask, host):
    with Peer(lambda method, path: trickle(b"H", 0.02)) as proxy:
        connect(host=host, extra={"timeout": 0.1, "allow_http": True, "proxies": proxy.url})
        with pytest.raises(e.RevorConnectionError, match=r"timed out after 0\.1 s"):
            ask()
        assert len(proxy.heads) == 1


@both
def test_a_server_that_trickles_over_tls_is_left(connect, tmp_path, ask):
    ca, certificate = make_certificates(tmp_path)
    with Peer(lambda method, path: trickle(b"H", 0.02), certificate) as peer:
        connect(host=peer.url, extra={"timeout": 0.3, "verify": str(ca)})
        with pytest.raises(e.RevorConnectionError, match=r"timed out after 0\.3 s"):
            ask()
        assert len(peer.heads) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_of_many_addresses_that_do_not_answer_has_one_timeout(connect, monkeypatch, scheme):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, contextlib.ExitStack() as stack:
        address = silent.getsockname()
        # Whoever comes after these waits for a place in the queue of those to be accepted.
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [place] * 20)
        extra = {"timeout": 0.3, "allow_http": True, "max_retries": 0}
        connect(host=f"{scheme}://many.test:{address[1]}", extra=extra)
        began = time.monotonic()
        with pytest.raises(e.RevorConnectionError, match=r"timed out after 0\.3 s"):
            RevorHook().list_connect_accounts()
        assert time.monotonic() - began < 3


@pytest.fixture
def sockets():
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def test_a_connection_that_is_used_again_has_its_usual_timeout(sockets):
    client, server = sockets
    client.settimeout(7)
    server.sendall(http(200, listing(item())))
    with deadline(5):
        response = DeadlineResponse(client)
        response.begin()
        assert response.read()
    assert client.gettimeout() == 7


def test_a_read_that_begins_too_late_times_out_though_there_is_data(sockets):
    client, server = sockets
    server.sendall(http(200, listing(item())))
    with deadline(-1), pytest.raises(TimeoutError):
        DeadlineResponse(client).begin()


def test_a_callers_own_request_has_no_deadline_of_ours(sockets):
    client, server = sockets
    server.sendall(http(200, listing(item())))
    with deadline(-1):
        pass
    DeadlineResponse(client).begin()


def test_every_connection_of_the_hooks_session_can_have_a_deadline(connect):
    connect(extra={"proxies": "http://proxy:1"})
    with RevorHook() as hook:
        adapter = hook.get_conn().get_adapter("https://revor.ai")
    for manager in (adapter.poolmanager, adapter.proxy_manager_for("http://proxy:1")):
        for scheme in ("http", "https"):
            pool = manager.connection_from_host("revor.ai", 1, scheme)
            assert pool.ConnectionCls.response_class is DeadlineResponse
