"""Whatever comes in, only documented errors come out: of the decoder, the headers, the connection and the wire."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import socket
import time
import tracemalloc
from types import SimpleNamespace

import pytest
from factories import item, job, listing, resource, response
from faults import stage as ask
from faults.peer import Peer, http, send
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.accounts import read_accounts
from airflow_provider_revor.api.answers import decode, retry_after
from airflow_provider_revor.api.jobs import read_job
from airflow_provider_revor.api.wire import Request
from airflow_provider_revor.hooks.settings import read_settings
from airflow_provider_revor.hooks.transport import AsyncTransport, SyncTransport

# A second is long for any of these, also on a machine that is busy.
fuzz = settings(max_examples=150, deadline=3_000, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars, lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=8), some, max_size=4)
)


def spoilt(whole):
    """A documented object of which some fields are something else, or missing, or new."""
    changes = st.dictionaries(st.sampled_from(list(whole)) | st.text(max_size=8), values, max_size=4)
    gone = st.sets(st.sampled_from(list(whole)), max_size=2)
    return st.builds(
        lambda new, less: {name: value for name, value in {**whole, **new}.items() if name not in less}, changes, gone
    )


items = st.lists(spoilt(item()) | values, max_size=3)
envelopes = (
    st.builds(lambda some: listing(*some), items)
    | st.builds(resource, spoilt(job()) | values)
    | spoilt({**listing(item()), "item": job(), "error": {"code": "c", "message": "m", "request_id": "r"}})
    | values
)
bodies = st.binary(max_size=200) | envelopes
statuses = st.sampled_from([200, 202, 204, 301, 304, 400, 401, 403, 404, 408, 409, 418, 429, 500, 503, 599])
header_text = st.text(st.characters(max_codepoint=255), max_size=40) | st.from_regex(
    r"(\w{3}, )?\d{1,3}[ -]\w{3,5}[ -]\d{1,6} \d{1,3}:\d{1,3}(:\d{1,3})?( [+-]?\w{1,6})?", fullmatch=True
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-window-ms", "date", "location", "content-type"]), header_text
)
requests = st.sampled_from([Request("GET", "connect/accounts"), Request("POST", "x", body={}, idempotency_key="k")])


@fuzz
@given(request=requests, status=statuses, body=bodies, headers=headers)
def test_an_answer_is_read_or_is_a_documented_error(request, status, body, headers):
    answer = response(status, body, **headers)
    for read in (read_accounts, read_job):
        try:
            found = read(decode(request, answer, "c"))
        except e.RevorError as error:
            assert status != 200 or type(error) is e.RevorResponseError
            assert len(str(error)) < 3_000
            assert str(error).isprintable()
            assert e.error_from_dict(json.loads(json.dumps(error.as_dict()))).as_dict() == error.as_dict()
        else:
            assert 200 <= status < 300
            told = [account.as_dict() for account in found] if isinstance(found, list) else found.as_dict()
            json.dumps(told)
            if not isinstance(found, list):
                assert (found.begins_at or 0.0) < math.inf
                assert found.standing
                if found.failed:
                    assert len(str(found.failure("c"))) < 3_000 + len(found.id) + len(str(found.action))


@fuzz
@given(headers=headers)
@example(headers={"retry-after": "9" * 5_000})
@example(headers={"retry-after": "1" + " " * 60_000 + "x"})
@example(headers={"retry-after": "Mon, 01 Jan 99999 00:00:00 GMT"})
@example(headers={"retry-after": "Mon, 01 Jan 0001 00:00:00 +2359"})
@example(headers={"retry-after": "(" * 60_000})
@example(headers={"x-ratelimit-window-ms": "-1", "date": "-" * 60_000})
def test_a_header_is_seconds_ahead_or_nothing(headers):
    wait = retry_after(response(429, {}, **headers))
    assert wait is None or 0 < wait < math.inf
    decode(Request("GET", "x"), response(200, {"ok": True}, **headers), "c")


hosts = st.text(max_size=30) | st.from_regex(r"(https?://)?[\w.:@\[\]%-]{0,30}(/[ -~]{0,10})?", fullmatch=True)
extras = st.dictionaries(
    st.sampled_from(["timeout", "max_retries", "max_response_mb", "verify", "proxies", "allow_http"]),
    values | st.from_regex(r"https?://[ -~]{0,12}", fullmatch=True),
)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("There is no network.")

    async def refuse_async(*_, **__):
        raise OSError("There is no network.")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr("anyio.connect_tcp", refuse_async)


@fuzz
@given(
    host=hosts,
    port=st.none() | st.integers(-1, 70_000),
    schema=st.none() | st.text(max_size=6),
    password=st.just("sk-revor-x") | st.text(max_size=12),
    extra=extras | st.text(max_size=20),
)
@example(host="https://xn--zzzz--.example", port=None, schema=None, password="sk-revor-x", extra={})
@example(host="https://revor.ai/\x7f", port=None, schema=None, password="sk-revor-x", extra={})
@example(host="https://[v1.x]", port=None, schema=None, password="sk-revor-x", extra={})
@example(host="https://1.2.3.999", port=None, schema=None, password="sk-revor-x", extra={})
@example(host="revor.ai", port=None, schema=None, password="sk-revor-x", extra={"proxies": "http://[x"})
@example(host="revor.ai", port=None, schema=None, password="sk-revor-x", extra={"proxies": "http://p:99999"})
def test_a_connection_can_be_used_or_says_why_not(no_network, host, port, schema, password, extra):
    written = extra if isinstance(extra, str) else json.dumps(extra)
    connection = SimpleNamespace(conn_id="c", host=host, port=port, schema=schema, password=password, extra=written)
    # Some of these are files that there are: a CA bundle that is none.
    ways = []
    for ask_once in (send_sync, send_async):
        with pytest.raises((e.RevorConfigurationError, e.RevorConnectionError)) as caught:
            ask_once(read_settings(connection))
        ways.append(type(caught.value))
        assert len(password) < 6 or password not in str(caught.value)
    assert ways[0] is ways[1]


def send_sync(settings):
    transport = SyncTransport(settings)
    try:
        transport.send(Request("GET", "x"))
    finally:
        transport.close()


def send_async(settings):
    async def ask_once():
        transport = AsyncTransport(settings)
        try:
            async with transport.turn() as turn:
                await transport.send(Request("GET", "x"), turn)
        finally:
            await transport.close()

    asyncio.run(ask_once())


@pytest.mark.parametrize("who", [ask.hook_sync, ask.hook_async])
@pytest.mark.parametrize(
    "extra",
    [
        {"timeout": 1e-9},
        {"timeout": 1e9},
        {"timeout": 1e10},
        {"timeout": 1e300},
        {"max_response_mb": 1e-9},
        {"max_response_mb": 1e300},
        {"max_retries": 1e300},
    ],
    ids=str,
)
def test_a_number_of_the_connections_that_is_beyond_reason_is_no_crash(connect, who, extra):
    with Peer(lambda method, path: send(WHOLE)) as peer:
        connect(host=peer.url, extra={"max_retries": 0, **extra})
        found, error = ask.caught(lambda: who(None))
    assert (found is None) is (error is not None)


WHOLE = http(200, listing(item()))
cuts = st.integers(0, len(WHOLE))
junk = st.binary(max_size=20) | st.sampled_from(
    [b"\r\n", b"\r\n\r\n", b"\x00", b"Content-Length: 5\r\n", b"\xff", b":"]
)


@pytest.mark.parametrize("who", [ask.hook_sync, ask.hook_async])
@settings(parent=fuzz, max_examples=80)
@given(at=cuts, until=cuts, junk=junk)
def test_bytes_on_the_wire_are_read_or_are_a_documented_error(connect, who, at, until, junk):
    answer = WHOLE[:at] + junk + WHOLE[until:]
    with Peer(lambda method, path: send(answer)) as peer:
        connect(host=peer.url, extra={"max_retries": 0, "timeout": 2})
        found, error = ask.caught(lambda: who(None))
    assert isinstance(error, (e.RevorConnectionError, e.RevorResponseError, e.RevorServerError, type(None)))
    assert (found is None) is (error is not None)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"ok": true, "items": [' + b"1," * 500_000 + b"1]}",
        b'{"ok": false, "error": {"code": "%s", "message": "%s"}}' % (b"x" * 1_000_000, b"\\u0000" * 100_000),
        b'{"ok": true, "n": ' + b"9" * 1_000_000 + b"}",
    ],
    ids=["nested", "a long list of numbers", "long texts", "a long number"],
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_hostile_body_takes_neither_long_nor_much(body, status):
    begun = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(e.RevorError) as caught:
            read_accounts(decode(Request("GET", "x"), response(status, body), "c"))
        assert tracemalloc.get_traced_memory()[1] < 20 * len(body)
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 3_000
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("who", [ask.hook_sync, ask.hook_async])
def test_gzip_within_gzip_takes_no_more_memory_than_the_bound_allows(connect, who):
    """What is unpacked is bounded as it is unpacked, not after."""
    bomb = gzip.compress(gzip.compress(b" " * 200_000_000, 9), 9)
    with Peer(lambda method, path: send(http(200, bomb, Content_Encoding="gzip, gzip"))) as peer:
        connect(host=peer.url, extra={"max_retries": 0, "max_response_mb": 4})
        tracemalloc.start()
        try:
            _, error = ask.caught(lambda: who(None))
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert error is not None
    assert most < 50_000_000
