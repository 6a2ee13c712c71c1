"""What the Test button of a connection's form responds to each kind of failure, over real sockets."""

from __future__ import annotations

import json
import re

import pytest
from airflow.providers.common.compat.sdk import Connection
from factories import item, listing, refusal
from faults.peer import Peer, http, make_certificates, reset, send, stall

from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.get_provider_info import connection_form
from airflow_provider_revor.hooks.revor import RevorHook

# The Test button's own: Airflow makes it up.
MADE_UP = "7AZZtT22"


def press(monkeypatch, **fields):
    """Press the button as Airflow does: with a connection under a random id, as a URI in the environment."""
    fields = {"password": "sk-revor-canary", "extra": json.dumps({"timeout": 3}), **fields}
    connection = Connection(conn_id=MADE_UP, conn_type="revor", **fields)
    monkeypatch.setenv(f"AIRFLOW_CONN_{MADE_UP.upper()}", connection.get_uri())
    ok, message = RevorHook(MADE_UP).test_connection()
    assert MADE_UP not in message
    assert "canary" not in message
    assert message.isprintable()
    return ok, message


def said(status, code):
    return send(http(status, refusal(code)))


# Each kind of response, how the message begins, and what it says to do.
RESPONSES = {
    "wrong key": (
        said(401, "api_key_invalid"),
        "The API key is not valid on this connection. Put a valid one into the field API key; keys are made at "
        "https://revor.ai/my-api-keys.",
    ),
    "key removed on the way": (
        said(401, "api_key_missing"),
        "The API key did not reach Revor on this connection. Check whether a proxy removes the Authorization header, "
        "and the key in the field API key;",
    ),
    "forbidden": (
        said(403, "permission_denied"),
        "The API key lacks a permission on this connection. Give the key the permission that this call needs "
        "(connect.accounts:read to list Connect accounts) at https://revor.ai/my-api-keys.",
    ),
    "rate limited": (
        send(http(429, refusal("api_rate_limit_exceeded"), Retry_After="9")),
        "Too many requests were sent on this connection. Wait at least 9 s before the next request.",
    ),
    "5xx": (said(503, "unavailable"), "Revor could not respond on this connection: "),
    "not Revor": (
        send(http(200, b"<html>Log in</html>", content_type="text/html")),
        "Something other than Revor responded on this connection: an HTML page of 19 bytes, not the documented JSON. "
        "Check the field Base URL, and what stands between Revor and Airflow: a proxy, a gateway, a login page.",
    ),
    "a redirect": (
        send(b"HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n"),
        "Something other than Revor responded on this connection: a redirect to login.example, which is not followed.",
    ),
    "other JSON": (
        send(http(200, {"ok": True, "items": 7})),
        "Revor's response on this connection is not as documented: `items` should be a list, not a number.",
    ),
    "nothing in time": (
        stall(),
        "No response from HOST on this connection: timed out after 3 s. Check the field Base URL, and the network",
    ),
    "a reset": (
        reset(),
        "No response from HOST on this connection: Connection reset by peer. Check the field Base URL",
    ),
}


@pytest.mark.parametrize(("response", "begins"), RESPONSES.values(), ids=RESPONSES)
def test_it_says_what_is_wrong_and_what_to_do(connect, monkeypatch, response, begins):
    connect()
    with Peer(lambda method, path: response) as server:
        ok, message = press(monkeypatch, host=server.url)
    assert not ok
    assert message.replace(server.url, "HOST").startswith(begins)
    assert re.search(r" \[GET /api/v1/connect/accounts(: \d{3}.*)?\]$", message)


@pytest.mark.parametrize(
    ("host", "begins"),
    [
        pytest.param(
            "https://revor.invalid",
            "No response from https://revor.invalid on this connection: the host was not found (",
            id="host-not-found",
        ),
        pytest.param(
            "http://127.0.0.1:1",
            "No response from http://127.0.0.1:1 on this connection: nothing listens there (Errno 111: connection "
            "refused). Check the field Base URL",
            id="refused",
        ),
    ],
)
def test_it_says_why_there_is_no_connection(connect, monkeypatch, host, begins):
    connect()
    ok, message = press(monkeypatch, host=host)
    assert not ok
    assert message.startswith(begins)


def test_it_says_what_is_wrong_with_tls(connect, monkeypatch, tmp_path):
    connect()
    _, certificate = make_certificates(tmp_path)
    with Peer(lambda method, path: send(http(200, listing())), certificate) as server:
        ok, message = press(monkeypatch, host=server.url)
    assert not ok
    assert ": its certificate is not trusted (certificate verify failed: " in message
    assert "the extra `verify`" in message
    with Peer(lambda method, path: send(http(200, listing()))) as server:
        ok, message = press(monkeypatch, host=server.url.replace("http:", "https:"))
    assert not ok
    assert ": no TLS connection (" in message
    assert "whether it begins with https:// or http://" in message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            {"password": None},
            "This connection has no API key. Put one into the field API key. Keys are made at "
            "https://revor.ai/my-api-keys.",
            id="no-key",
        ),
        pytest.param(
            {"password": None, "login": "sk-revor-canary"},
            "This connection has no API key, but something in the field of the login. Move the key into the field API "
            "key. Keys are made at https://revor.ai/my-api-keys.",
            id="key-as-login",
        ),
        pytest.param(
            {"password": "sk-revor canary"},
            "The field API key holds no API key: it has spaces, quotes or other characters that a key never has. Copy "
            "the key alone into the field API key, as it stands at https://revor.ai/my-api-keys.",
            id="spaces",
        ),
        pytest.param(
            {"host": "ftp://revor.ai"}, "This connection has the scheme 'ftp'. Use https.", id="another-scheme"
        ),
    ],
)
def test_a_field_that_cannot_be_used_is_named_as_the_form_does(connect, monkeypatch, fields, message):
    connect()
    assert press(monkeypatch, **fields) == (False, message)


@pytest.mark.parametrize(
    ("accounts", "told"),
    [
        pytest.param([item(), item(can_send=False)], "2 Connect accounts, 1 of them can send.", id="two"),
        pytest.param([item()], "1 Connect account, 1 of them can send.", id="one"),
    ],
)
def test_it_counts_the_accounts(connect, monkeypatch, accounts, told):
    connect()
    with Peer(lambda method, path: send(http(200, listing(*accounts)))) as server:
        ok, message = press(monkeypatch, host=server.url)
    assert (ok, message) == (True, f"Revor answers: {told}")


def test_messages_name_the_fields_as_the_form_does():
    labels = connection_form()["ui-field-behaviour"]["relabeling"]
    assert Names.of(None)[1:] == (f"the field {labels['password']}", f"the field {labels['host']}")


@pytest.mark.parametrize("conn_id", ["{key}", "ключ.{host}-x", "c" * 200, "it's"])
def test_a_connections_id_is_quoted_as_it_is(conn_id):
    names = Names.of(conn_id)
    assert names.fill("Check {connection}.") == f"Check connection {conn_id!r}."
    assert names.fill('{connection} says {"timeout": 3}.') == f'Connection {conn_id!r} says {{"timeout": 3}}.'
