"""What a peer sends byte by byte ends with the connection's timeout, whichever part of the response it is."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

import pytest
from both_ways import both
from factories import item, listing
from faults.peer import Peer, http, make_certificates, send, trickle

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


only_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse whoever finds the queue full")


@contextlib.contextmanager
def silent(port=0):
    """An address that takes no connection, and refuses none."""
    with socket.create_server(("127.0.0.2", port), backlog=0) as server, contextlib.ExitStack() as stack:
        # Whoever comes after these waits for a place in the queue of those to be accepted.
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()


@pytest.fixture
def many_test(monkeypatch):
    """Return a function that gives the host ``many.test`` addresses."""
    really = socket.getaddrinfo

    def set_addresses(*addresses):
        def getaddrinfo(host, *args, **kwargs):
            if host not in ("many.test", b"many.test"):
                return really(host, *args, **kwargs)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return set_addresses


@only_linux
@both
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_whose_many_addresses_do_not_respond_has_one_timeout(connect, many_test, scheme, ask):
    with silent() as address:
        many_test(*[address] * 20)
        connect(host=f"{scheme}://many.test:{address[1]}", extra={"timeout": 0.3, "allow_http": True})
        began = time.monotonic()
        with pytest.raises(e.RevorConnectionError, match=r"timed out after 0\.3 s"):
            ask()
        assert time.monotonic() - began < 3


@only_linux
@both
@pytest.mark.parametrize("silent_first", [True, False])
def test_an_address_that_does_not_respond_leaves_time_for_another(connect, many_test, silent_first, ask):
    with Peer(lambda method, path: send(http(200, listing(item())))) as peer:
        port = int(peer.url.rpartition(":")[2])
        with silent(port) as address:
            many_test(*sorted([address, ("127.0.0.1", port)], reverse=silent_first))
            connect(host=f"http://many.test:{port}", extra={"timeout": 3, "allow_http": True})
            assert ask()


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
