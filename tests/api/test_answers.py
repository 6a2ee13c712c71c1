"""What a response means: a value, or an error that quotes little of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from factories import refusal, response
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.answers import decode, retry_after
from airflow_provider_revor.api.wire import Request

GET = Request("GET", "/api/v1/connect/accounts")


def error_of(status: int, body: Any, **headers: str) -> e.RevorError:
    with pytest.raises(e.RevorError) as caught:
        decode(GET, response(status, body, **headers), "my_conn")
    return caught.value


def test_a_success_is_its_envelope():
    body = {"ok": True, "request_id": "req_1", "items": []}
    assert decode(GET, response(200, body), "c").body == body


@pytest.mark.parametrize(
    "body",
    [b"", b"<html></html>", b"{", b"[]", b"null", b'{"items": []}', b'{"ok": false}', b'{"ok": 1}', b"[" * 100_000],
)
def test_a_success_that_is_not_the_documented_json_is_an_error(body):
    with pytest.raises(e.RevorResponseError):
        decode(GET, response(200, body), "c")


def test_a_write_may_be_answered_by_nothing():
    assert decode(Request("DELETE", "x"), response(204, b""), "c").body == {}


def test_a_failure_within_a_success_keeps_its_code():
    error = error_of(200, refusal("odd", "Really."))
    assert (error.code, error.request_id) == ("odd", "req_refused")


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://user:pw@other.example/login?token=secret", "other.example"),
        ("/login?token=secret", "the same host"),
        ("https://[secret", "an unreadable address"),
        ("https://" + "x" * 60_000 + "/secret", "x" * 99 + "…"),
        ("https://a\u202eb.example/secret", "a b.example"),
    ],
)
def test_a_redirect_is_not_followed_and_shows_only_its_host(location, host):
    error = error_of(302, b"", location=location)
    assert f"a redirect to {host}, which is not followed" in error.reason
    assert "secret" not in str(error)


def test_what_revor_says_is_one_bounded_line_in_the_message_and_the_attributes():
    long = "two\nlines\x1b[31m \u202e" + "x" * 10_000
    error = error_of(400, {"ok": False, "error": {"code": long, "message": long, "request_id": long}})
    assert str(error).isprintable()
    assert len(str(error)) < 1_100
    assert len(error.reason) < 700
    assert error.code == error.request_id == "two lines [31m " + "x" * 84 + "…"


def test_a_path_that_holds_an_id_of_a_peers_is_bounded_too():
    request = Request("GET", "outreach/jobs/" + "x" * 400_000)
    for body in (refusal(), {"ok": True, "item": None}):
        with pytest.raises(e.RevorError) as caught:
            assert decode(request, response(400 if "error" in body else 200, body), "c").item
        assert len(str(caught.value)) < 1_000


def test_a_field_that_is_not_as_documented_is_named_without_its_value():
    envelope = decode(GET, response(202, {"ok": True, "request_id": "req_1\n" + "x" * 1_000, "item": "secret"}), "c")
    with pytest.raises(e.RevorResponseError) as caught:
        _ = envelope.item
    assert caught.value.reason == (
        "Revor's response on connection 'c' is not as documented: `item` should be an object, not a string."
    )
    assert caught.value.status_code == 202
    assert len(caught.value.request_id) == 100
    assert str(caught.value).isprintable()


def test_the_reprs_quote_nothing_of_the_peers():
    answer = response(200, {"ok": True, "x": "secret"}, x_odd="secret")
    assert "secret" not in repr(answer) + repr(decode(GET, answer, "c"))


# 1,000,000 seconds after the epoch is when the response was received: 13:46:40.


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 2.5 "}, 2.5),
        ({"retry_after": "0"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "9" * 5000}, None),
        ({"retry_after": "999999999999"}, 999999999999.0),
        ({"retry_after": "Mon, 12 Jan 1970 13:46:50 GMT"}, 10.0),
        ({"retry_after": "Mon, 12 Jan 1970 13:46:30 GMT"}, None),
        ({"retry_after": "Mon, 12 Jan 99999 13:46:30 GMT"}, None),
        ({"retry_after": "Mon, 12 Jan 1970 13:46:50 GMT", "date": "Mon, 12 Jan 1970 12:46:50 GMT"}, 3600.0),
        ({"retry_after": "Mon, 12 Jan 1970 12:46:50 GMT", "date": "Mon, 12 Jan 1970 12:46:45 GMT"}, 5.0),
        ({"retry_after": "Mon, 12 Jan 1970 13:46:50 GMT", "date": "Mon, 12 Jan 1970 14:46:50 GMT"}, None),
        ({"retry_after": "Mon, 12 Jan 1970 13:46:50 GMT", "date": "yesterday"}, 10.0),
        ({"retry_after": "7", "date": "Mon, 12 Jan 1970 14:46:50 GMT"}, 7.0),
        ({"x_ratelimit_window_ms": "1500"}, 1.5),
        ({"x_ratelimit_window_ms": "0"}, None),
        ({"x_ratelimit_window_ms": "-1"}, None),
        ({"retry_after": "soon", "x_ratelimit_window_ms": "1500"}, 1.5),
        ({"retry_after": "3", "x_ratelimit_window_ms": "1500"}, 3.0),
    ],
)
def test_how_long_a_response_asks_to_wait(headers, seconds):
    assert retry_after(response(429, refusal(), **headers)) == seconds


@pytest.mark.parametrize("status", [200, 400, 403, 408, 500, 502, 503, 504])
def test_the_window_of_a_limit_is_no_wait_where_no_limit_was_hit(status):
    assert retry_after(response(status, refusal(), x_ratelimit_window_ms="3600000")) is None


@given(st.text(max_size=40), st.text(max_size=20))
def test_no_header_breaks_the_reading_of_it(asked, window):
    seconds = retry_after(response(429, {}, retry_after=asked, x_ratelimit_window_ms=window))
    assert seconds is None or seconds > 0


@given(
    st.integers(100, 599),
    st.one_of(
        st.binary(), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
    ),
)
def test_any_answer_is_an_envelope_or_a_revor_error(status, content):
    try:
        envelope = decode(GET, response(status, content), "c")
    except e.RevorError as error:
        assert "GET /api/v1/connect/accounts" in str(error)
    else:
        assert envelope.body["ok"] is True


@pytest.mark.parametrize(("asked", "seconds"), [("5, 10", 10.0), ("10,5", 10.0), ("5, soon", None)])
def test_of_two_waits_that_are_asked_for_the_longer_counts(asked, seconds):
    assert retry_after(response(429, **{"retry-after": asked})) == seconds
