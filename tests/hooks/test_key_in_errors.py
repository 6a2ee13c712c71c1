"""A hostile peer repeats the API key wherever it can: nothing that an error leads to holds it."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Iterator
from types import CodeType, FrameType, FunctionType, MethodType, ModuleType, TracebackType
from typing import Any
from urllib.parse import quote

import pytest
from faults.peer import Peer, http, reset, send, stall

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.settings import Settings
from airflow_provider_revor.hooks.transport import AsyncTransport, SyncTransport

KEY = "sk-revor-0a1b2c3d4e5f"
ESCAPED = "".join(f"\\u{ord(c):04x}" for c in KEY)


def raw(head: str, body: bytes = b"", status: str = "403 No") -> bytes:
    return f"HTTP/1.1 {status}\r\nConnection: close\r\n{head}\r\n\r\n".encode("latin-1") + body


def envelope(**fields: str) -> bytes:
    return http(401, {"ok": False, "error": {"code": "odd", "message": "Odd.", "request_id": "req_1", **fields}})


PEERS = {
    "code": envelope(code=f"unknown_{KEY}"),
    "message": envelope(message=f"The key {KEY} is odd."),
    "request id": envelope(request_id=KEY),
    "escaped": http(401, b'{"ok": false, "error": {"code": "odd", "message": "%s"}}' % ESCAPED.encode()),
    "escaped twice": envelope(message=ESCAPED),
    "percent-encoded": envelope(message=quote(f"Bearer {KEY}") + "".join(f"%{ord(c):x}" for c in KEY)),
    "Base64": envelope(message=b64encode(f"Bearer {KEY}".encode()).decode()),
    "other case": envelope(message=KEY.upper()),
    "split": envelope(message="\n".join(KEY), code="\0".join(KEY)),
    "UTF-16": http(401, json.dumps({"ok": False, "error": {"code": "odd", "message": KEY}}).encode("utf-16")),
    "cut off by the bound": envelope(message="x" * 490 + KEY, code="x" * 90 + KEY),
    "content type": raw(f"Content-Type: text/{KEY}\r\nContent-Length: 1", b"x"),
    "location": raw(f"Location: https://{KEY}.example/{KEY}\r\nContent-Length: 0", status="302 Found"),
    "reason phrase": raw("Content-Length: 0", status=f"403 {KEY}"),
    "status line": f"HTTP/1.1 {KEY} No\r\n\r\n".encode(),
    "long status line": f"HTTP/1.1 {KEY * 3_000} No\r\n\r\n".encode(),
    "no HTTP": f"{KEY}\r\n\r\n".encode(),
    "header line": raw(f"{KEY}"),
    "header name": raw(f"{KEY}\0: x"),
    "header value": raw(f"X-Odd: {KEY}\0\r\nContent-Length: 0"),
    "content length": raw(f"Content-Length: {KEY}"),
    "transfer encoding": raw(f"Transfer-Encoding: {KEY}"),
    "chunk length": raw("Transfer-Encoding: chunked", f"{KEY}\r\n".encode(), status="200 OK"),
    "gzip that is none": raw(f"Content-Encoding: gzip\r\nX: {KEY}\r\nContent-Length: 21", KEY.encode(), "200 OK"),
    "content encoding": raw(f"Content-Encoding: {KEY}\r\nContent-Length: 1", b"x", "200 OK"),
    "cut body": raw(f"X: {KEY}\r\nContent-Length: 9000", KEY.encode(), "200 OK"),
    "HTML": raw("Content-Type: text/html\r\nContent-Length: 27", f"<html>{KEY}".encode()),
    "success that is none": http(200, {"ok": False, "error": {"code": KEY, "message": KEY}, KEY: KEY}),
    "field": http(200, {"ok": True, "request_id": KEY, "items": {KEY: KEY}}),
    "other JSON": http(403, {KEY: KEY}),
    "5xx": http(503, KEY.encode(), Retry_After=KEY, Date=KEY),
}


def list_sync():
    with RevorHook(max_retries=1) as hook:
        hook.list_connect_accounts()


def list_async():
    async def ask():
        async with RevorHook(max_retries=1) as hook:
            await hook.alist_connect_accounts()

    asyncio.run(ask())


@pytest.fixture
def naps(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)


# What must hold the key to send it; and what leads to the whole process.
HOLDERS = (RevorHook, SyncTransport, AsyncTransport, Settings)
ELSEWHERE = (ModuleType, FunctionType, MethodType, CodeType, type, logging.Logger, logging.LoggerAdapter)


def is_ours(frame: FrameType) -> bool:
    """Whether a frame is of this provider, or of a library that it calls: not of these tests, nor of pytest."""
    roots = ("airflow_provider_revor", "requests", "urllib3", "http", "httpx", "httpcore", "h11", "anyio", "tenacity")
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in roots


def led_to(error: BaseException) -> Iterator[Any]:
    """All that an error leads to: arguments, attributes, causes, contexts, and the local variables of its frames."""
    waiting, seen = [error], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, (*HOLDERS, *ELSEWHERE)):
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, BaseException):
            waiting += [value.args, value.__cause__, value.__context__, value.__traceback__, vars(value)]
        elif isinstance(value, TracebackType):
            waiting += [value.tb_next, value.tb_frame]
        elif isinstance(value, FrameType):
            waiting += list(value.f_locals.values()) if is_ours(value) else []
        else:
            waiting += gc.get_referents(value)


def forms(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("latin-1")
    return value if isinstance(value, str) else repr(value)


def holds_the_key(value: Any) -> bool:
    text = forms(value).replace("\0", "").replace("\n", "").lower()
    hidden = (KEY, ESCAPED, quote(KEY), b64encode(f"Bearer {KEY}".encode()).decode()[8:-2])
    return any(form.lower() in text for form in hidden)


def check(error: BaseException) -> None:
    leaks = [value for value in led_to(error) if holds_the_key(value)]
    assert leaks == []
    for link in traceback.format_exception(error):
        assert KEY not in link
    assert str(error).isprintable()
    assert len(str(error)) < 1_500
    assert KEY[:15] not in str(error)


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
@pytest.mark.parametrize("ask", [list_sync, list_async])
def test_a_peer_that_repeats_the_key_does_not_get_it_into_an_error(connect, naps, caplog, ask, peer):
    with Peer(lambda method, path: send(peer)) as server, caplog.at_level(logging.INFO):
        connect(host=server.url, password=KEY, extra={"timeout": 5})
        with pytest.raises(e.RevorError) as caught:
            ask()
        assert all(f"Bearer {KEY}" in head for head in server.heads)
    check(caught.value)
    check(e.error_from_dict(json.loads(json.dumps(caught.value.as_dict()))))
    ours = [record.getMessage() for record in caplog.records if "revor" in record.name]
    assert not holds_the_key("".join(ours))


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_the_test_button_shows_no_key(connect, naps, peer):
    with Peer(lambda method, path: send(peer)) as server:
        connect(host=server.url, password=KEY, extra={"timeout": 5})
        ok, message = RevorHook().test_connection()
    assert not ok
    assert not holds_the_key(message)
    assert len(message) < 1_500


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(stall(), id="nothing"),
        pytest.param(stall(raw("Content-Length: 9", b"x", "200 OK")), id="a stalled body"),
        pytest.param(reset(), id="a reset"),
    ],
)
@pytest.mark.parametrize("ask", [list_sync, list_async])
def test_no_response_leads_to_no_key(connect, naps, ask, answer):
    with Peer(lambda method, path: answer) as server:
        connect(host=server.url, password=KEY, extra={"timeout": 0.1})
        with pytest.raises(e.RevorConnectionError) as caught:
            ask()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    check(caught.value)


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "https://127.0.0.1:1", "https://revor.invalid"])
@pytest.mark.parametrize("ask", [list_sync, list_async])
def test_nobody_there_leads_to_no_key(connect, naps, ask, host):
    connect(host=host, password=KEY)
    with pytest.raises(e.RevorConnectionError) as caught:
        ask()
    check(caught.value)


@pytest.mark.parametrize("password", [f"\"{KEY}'", f"Basic {KEY}", f"{KEY}\r\nX: y"])
@pytest.mark.parametrize("ask", [list_sync, list_async, lambda: RevorHook().get_conn()])
def test_a_password_that_is_refused_is_not_shown(connect, ask, password):
    connect(password=password)
    with pytest.raises(e.RevorConfigurationError) as caught:
        ask()
    check(caught.value)


def test_the_values_of_a_success_are_left_as_they_are(connect):
    items = [
        {
            "account_id": f"acc_{KEY}",
            "channel": "email",
            "name": KEY,
            "account_identifier": KEY,
            "status": "ok",
            "lifecycle_status": "active",
            "can_send": True,
            "can_receive": True,
        }
    ]
    with Peer(lambda method, path: send(http(200, {"ok": True, "items": items}))) as server:
        connect(host=server.url, password=KEY)
        with RevorHook() as hook:
            assert [account.as_dict() for account in hook.list_connect_accounts()] == items
