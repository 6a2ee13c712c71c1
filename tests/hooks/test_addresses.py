"""Proxies: refused at once and without being quoted, or accepted by both HTTP libraries."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from types import SimpleNamespace

import pytest
from faults.peer import Peer, http, send
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.wire import Request
from airflow_provider_revor.hooks.addresses import read_proxy
from airflow_provider_revor.hooks.settings import read_settings
from airflow_provider_revor.hooks.transport import AsyncTransport, SyncTransport

ODD = [
    pytest.param("http://user:s3cr#et@host", "percent-encoded", id="hash"),
    pytest.param("http://user:s3cr?et@host", "percent-encoded", id="question-mark"),
    pytest.param("http://user:s3cr/et@host:3128", "percent-encoded", id="slash"),
    pytest.param("http://user:s3cr[et@host", "percent-encoded", id="bracket"),
    pytest.param("http://user:s3cr]et@host", "percent-encoded", id="closing-bracket"),
    pytest.param("http://user:s3cr@et@host", "percent-encoded", id="at"),
    pytest.param("http://user:s3cr%et@host", "percent-encoded", id="percent"),
    pytest.param("http://user:s3cr et@host", "percent-encoded", id="space"),
    pytest.param("http://user:s3cr\\et@host", "percent-encoded", id="backslash"),
    pytest.param("http://user:s3crét@host", "ASCII", id="not-ascii"),
    pytest.param("http://user:s3cr%C3%A9t@host", "ASCII", id="not-ascii-encoded"),
    pytest.param("http://user:s3cr%0D%0Aet@host", "ASCII", id="line-break"),
    pytest.param("http://:s3cret@host", "login", id="no-user"),
    pytest.param("http://host:99999", "port is invalid: use 1–65535", id="port"),
    pytest.param("http://user:s3cret", "port is invalid", id="no-host"),
    pytest.param("http://host:s3cret/", "port is invalid", id="port-text"),
    pytest.param("http://host:", "port is invalid", id="port-empty"),
    pytest.param("http://user:s3cret@", "host is invalid", id="host-empty"),
    pytest.param("http://user:s3cret@1.2.3.999", "host is invalid", id="ipv4"),
    pytest.param("http://user:s3cret@[::1::2]", "host is invalid", id="ipv6"),
    pytest.param("http://[", "not the URL", id="open-bracket"),
    pytest.param("http://höst", "host is invalid", id="idn"),
    pytest.param("http://ho..st", "host is invalid", id="empty-label"),
    pytest.param("http://host/s3cret", "not the URL", id="path"),
    pytest.param("socks5://user:s3cret@host", "not the URL", id="socks"),
    pytest.param("user:s3cret", "not the URL", id="no-scheme"),
    pytest.param("http://user:s3cr\net@host", "percent-encoded", id="new-line"),
    pytest.param(7, "not the URL", id="number"),
]


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        (" HTTP://proxy/ ", "http://proxy"),
        ("https://proxy", "https://proxy"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://user:p%40ss%23@10.0.0.1:3128/", "http://user:p%40ss%23@10.0.0.1:3128"),
        ("http://user@proxy", "http://user:@proxy"),
        ("http://user:a:b@proxy", "http://user:a:b@proxy"),
        ("http://proxy:0", "http://proxy"),
    ],
)
def test_a_proxy_is_taken_as_people_write_it(written, url):
    assert read_proxy(written) == url


@pytest.mark.parametrize(("proxy", "why"), ODD)
def test_an_odd_proxy_of_the_connection_is_refused_without_being_quoted(proxy, why):
    with pytest.raises(e.RevorConfigurationError, match=why) as caught:
        configured({"https": proxy})
    assert "s3cr" not in str(caught.value)
    assert "extra `proxies`" in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_json_that_is_cut_does_not_lead_to_its_text():
    with pytest.raises(e.RevorConfigurationError, match="not JSON") as caught:
        configured('{"https": "http://user:s3cret@host"')
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("make", [SyncTransport, AsyncTransport])
@pytest.mark.parametrize(
    ("proxy", "why"), [odd for odd in ODD if isinstance(odd.values[0], str) and "://" in odd.values[0]]
)
def test_an_odd_proxy_of_the_environment_is_refused_without_being_quoted(monkeypatch, make, proxy, why):
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(e.RevorConfigurationError, match=why) as caught:
        make(configured({}))
    assert "s3cr" not in str(caught.value)
    assert "a proxy of the environment" in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("login", ["user:p%40ss%23", "user", "user:a:b"])
def test_a_proxys_login_is_the_same_sync_and_awaited(login):
    with Peer(lambda method, path: send(http(200, {}))) as proxy:
        written = proxy.url.replace("http://", f"http://{login}@")
        found = configured({"http": written}, host="http://revor.test", allow_http=True)
        send_sync(found)
        send_async(found)
    sent, awaited = (
        next(line for line in head.splitlines() if line.lower().startswith("proxy-authorization"))
        for head in proxy.heads
    )
    assert base64.b64decode(sent.split()[-1]) == base64.b64decode(awaited.split()[-1])


special = st.text(st.sampled_from("aZ09.:@/?#[]%-_~!$&'()*+,;= \\\"<>^`{|}\n\x00é€２"), max_size=12)
proxies = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "https", "HTTP"]),
    special.map(lambda x: x and x + "@"),
    st.sampled_from(["proxy", "1.2.3.4", "1.2.3.999", "[::1]", "xn--zzzz--.example", "-", "p_", ""]) | special,
    st.just("") | st.integers(-1, 70_000).map(":{}".format) | special,
    st.sampled_from(["", "/"]),
)


@settings(max_examples=150, deadline=3_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(proxy=proxies)
@example(proxy="http://xn--zzzz--.example")
@example(proxy="http://[::ffff:1.2.3.4]:1")
@example(proxy=f"http://{'a.' * 200}b")
@example(proxy="http://0x7f.1")
def test_what_the_settings_accept_both_libraries_accept(monkeypatch, proxy):
    def refuse(*_, **__):
        raise OSError("There is no network.")

    async def refuse_async(*_, **__):
        raise OSError("There is no network.")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr("anyio.connect_tcp", refuse_async)
    for schema in ("http", "https"):
        try:
            found = configured({schema: proxy}, host=f"{schema}://revor.test", allow_http=True)
        except e.RevorConfigurationError:
            continue
        for ask in (send_sync, send_async):
            with pytest.raises(e.RevorConnectionError, match="There is no network"):
                ask(found)


def configured(proxies, host="https://revor.test", **extra):
    return read_settings(
        SimpleNamespace(
            conn_id="c",
            host=host,
            port=None,
            schema=None,
            password="sk-revor-canary",
            extra=json.dumps({"proxies": proxies, **extra}),
        )
    )


def send_sync(found):
    transport = SyncTransport(found)
    try:
        transport.send(Request("GET", "x"))
    finally:
        transport.close()


def send_async(found):
    async def ask():
        transport = AsyncTransport(found)
        try:
            async with transport.turn() as turn:
                await transport.send(Request("GET", "x"), turn)
        finally:
            await transport.close()

    asyncio.run(ask())
