"""The hook against the sandbox over a real socket: sync and async come to the same end, whatever happens."""

from __future__ import annotations

import asyncio
import re
import socket
from urllib.parse import parse_qsl

import pytest

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.accounts import read_accounts
from airflow_provider_revor.api.wire import Request
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.transport import AsyncTransport


def list_sync(hook: RevorHook, **filters):
    with hook:
        return hook.list_connect_accounts(**filters)


def list_async(hook: RevorHook, **filters):
    async def ask():
        async with hook:
            return await hook.alist_connect_accounts(**filters)

    return asyncio.run(ask())


both = pytest.mark.parametrize("ask", [list_sync, list_async])


@both
def test_the_accounts_are_read(revor_sandbox, ask):
    accounts = ask(RevorHook())
    assert [account.as_dict() for account in accounts] == revor_sandbox.accounts


@both
@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"channel": "email"}, "channel=email"),
        ({"can_send": True}, "can_send=true"),
        ({"channel": "linkedin", "can_send": False}, "channel=linkedin&can_send=false"),
    ],
)
def test_filters_are_applied_by_revor(revor_sandbox, ask, filters, query):
    accounts = ask(RevorHook(), **filters)
    assert [record.query for record in revor_sandbox.requests] == [query]
    assert all(getattr(account, name) == value for account in accounts for name, value in filters.items())


def test_a_list_in_the_query_is_the_same_sync_and_awaited(revor_sandbox):
    params = {"channel": "email", "x": ["a b", "c&d"], "none": []}

    async def ask():
        async with RevorHook() as hook:
            await hook._asend(Request("GET", "connect/accounts", params), read_accounts)

    with RevorHook() as hook:
        hook.request("GET", "connect/accounts", params=params)
    asyncio.run(ask())
    sent, awaited = (parse_qsl(record.query) for record in revor_sandbox.requests)
    assert sent == awaited == [("channel", "email"), ("x", "a b"), ("x", "c&d")]


# What happens, how many requests that is with one retry allowed, and how it ends.
FAULTS = {
    "429 once": (lambda s: s.fail(429, headers={"X-RateLimit-Window-Ms": "10"}), 2, None),
    "429 for long": (lambda s: s.fail(429, retry_after=3600), 1, e.RevorRateLimitError),
    "503 once": (lambda s: s.fail(503, retry_after="0.01"), 2, None),
    "503 twice": (lambda s: s.fail(503, retry_after="0.01", times=2), 2, e.RevorServerError),
    "500": (lambda s: s.fail(500), 1, e.RevorServerError),
    "502 in HTML": (lambda s: s.answer(502, "<html>", {"Retry-After": "0.01"}, times=2), 2, e.RevorServerError),
    "dropped": (lambda s: s.drop(times=2), 2, e.RevorConnectionError),
    "cut": (lambda s: s.truncate(times=2), 2, e.RevorConnectionError),
    "too slow": (lambda s: s.slow(30, times=2), 2, e.RevorConnectionError),
    "HTML": (lambda s: s.answer(200, "<html>"), 1, e.RevorResponseError),
    "not ok": (lambda s: s.answer(200, {"ok": False}), 1, e.RevorResponseError),
    "redirect": (lambda s: s.answer(302, "", {"Location": "https://evil.example/"}), 1, e.RevorResponseError),
    "401": (lambda s: s.revoke_key(), 1, e.RevorAuthenticationError),
    "403": (lambda s: s.set_key(permitted=False), 1, e.RevorPermissionError),
    "404": (lambda s: s.fail(404), 1, e.RevorNotFoundError),
    "409": (lambda s: s.fail(409), 1, e.RevorConflictError),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_sync_and_async_come_to_the_same_end(revor_sandbox, connect, monkeypatch, fault):
    # Full jitter: what has no hint would wait up to a second.
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key, extra={"timeout": 5})
    script, requests, error = FAULTS[fault]
    ends = []
    for ask in (list_sync, list_async):
        revor_sandbox.clear_faults()
        revor_sandbox.reset_requests()
        script(revor_sandbox)
        try:
            end = [account.account_id for account in ask(RevorHook(max_retries=1))]
        except e.RevorError as raised:
            assert type(raised) is error
            assert "'revor_default'" in str(raised)
            assert "GET /api/v1/connect/accounts" in str(raised)
            end = re.sub(r"req_\w+", "req", str(raised).partition(": ")[0])
        else:
            assert error is None
        assert revor_sandbox.request_count == requests
        ends.append(end)
    assert ends[0] == ends[1]


@both
def test_nobody_listens(connect, ask):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        connect(host=f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(e.RevorConnectionError, match="Errno 111"):
            ask(RevorHook(max_retries=0))


def unusable(name):
    """Settings that only show in use to be no good."""
    return {
        "a CA bundle that is none": {"extra": {"verify": __file__}, "env": {}},
        "no such CA bundle": {"extra": {}, "env": {"REQUESTS_CA_BUNDLE": "/no/such/file"}},
        "a proxy that is none": {"extra": {}, "env": {"https_proxy": "socks5://127.0.0.1:9"}},
    }[name]


@both
@pytest.mark.parametrize("name", ["a CA bundle that is none", "no such CA bundle", "a proxy that is none"])
def test_what_cannot_be_used_is_a_configuration_error(connect, monkeypatch, ask, name):
    connect(host="https://revor.test", extra=unusable(name)["extra"])
    for variable, value in unusable(name)["env"].items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(e.RevorConfigurationError, match="'revor_default'"):
        ask(RevorHook())
    ok, message = RevorHook().test_connection()
    assert not ok
    assert message.startswith("This connection ")


@both
@pytest.mark.parametrize(("no_proxy", "asked"), [("", True), ("revor.test", False), ("10.0.0.0/8", True)])
def test_a_proxy_and_its_exceptions_mean_the_same(connect, monkeypatch, ask, no_proxy, asked):
    """The proxy is a closed port: what fails tells who was asked."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://{proxy}")
        monkeypatch.setenv("no_proxy", no_proxy)
        connect(host="https://revor.test:1")
        with pytest.raises(e.RevorConnectionError) as caught:
            ask(RevorHook(max_retries=0))
        assert ("Errno 111" in str(caught.value)) is asked
        # What the connection says is not for the environment to outdo.
        connect(host="https://revor.test:1", extra={"proxies": f"http://{proxy}"})
        with pytest.raises(e.RevorConnectionError, match="Errno 111"):
            ask(RevorHook(max_retries=0))


@both
def test_a_key_that_revor_repeats_is_not_repeated(revor_sandbox, ask):
    body = {"ok": False, "error": {"code": "odd", "message": f"The key {revor_sandbox.api_key} is odd."}}
    revor_sandbox.answer(200, body)
    with pytest.raises(e.RevorResponseError, match=r"The key \*\*\* is odd"):
        ask(RevorHook())


@both
def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(revor_sandbox, monkeypatch, ask):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert len(ask(RevorHook())) == len(revor_sandbox.accounts)


def test_one_hook_serves_several_event_loops(revor_sandbox):
    hook = RevorHook()
    for _ in range(3):
        assert asyncio.run(hook.alist_connect_accounts())
    assert revor_sandbox.request_count == 3


def test_one_client_is_reused_within_a_loop(revor_sandbox):
    async def ask():
        async with RevorHook() as hook:
            await hook.alist_connect_accounts()
            first = hook._async_transport
            await asyncio.gather(*(hook.alist_connect_accounts() for _ in range(5)))
            return hook._async_transport is first

    assert asyncio.run(ask())
    assert revor_sandbox.request_count == 6


def test_clients_that_are_made_at_once_are_all_closed(revor_sandbox, monkeypatch):
    made = []
    make = AsyncTransport.__init__

    def remember(transport, settings):
        make(transport, settings)
        made.append(transport)

    monkeypatch.setattr(AsyncTransport, "__init__", remember)

    async def ask():
        async with RevorHook() as hook:
            await asyncio.gather(*(hook.alist_connect_accounts() for _ in range(5)))

    asyncio.run(ask())
    assert made
    assert all(transport.client.is_closed for transport in made)


def test_the_test_button_asks_the_real_socket(revor_sandbox):
    ok, message = RevorHook().test_connection()
    assert ok
    assert message == "Revor answers: 6 Connect accounts, 0 of them can send."
