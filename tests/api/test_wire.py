from __future__ import annotations

import json

import pytest
from factories import refusal, response
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.answers import decode, retry_after
from airflow_provider_revor.api.wire import Request

GET = Request("GET", "/api/v1/connect/accounts")


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/api/v1/connect/accounts", "/api/v1/connect/accounts"),
        ("/api/v2/jobs/1", "/api/v2/jobs/1"),
        ("connect/accounts", "/api/v1/connect/accounts"),
        ("/connect/accounts", "/api/v1/connect/accounts"),
        ("api/v1/connect/accounts", "/api/v1/connect/accounts"),
    ],
)
def test_a_path_is_taken_from_the_api_root_unless_it_names_it(written, path):
    assert Request("get", written).path == path
    assert Request("get", written).method == "GET"


@pytest.mark.parametrize(
    "path", ["https://evil.example/api/v1", "//evil.example/x", "a?b=c", "a#b", "a b", "a\nb", "a\\b", "a\x00"]
)
def test_a_path_that_could_lead_elsewhere_is_refused(path):
    with pytest.raises(ValueError, match="is no path of the Revor API"):
        Request("GET", path)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="no HTTP method"):
        Request("GET\r\nX: y", "connect/accounts")


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX-Evil: 1", "ключ"])
def test_an_idempotency_key_that_is_no_header_is_refused(key):
    with pytest.raises(ValueError, match="idempotency key"):
        Request("POST", "x", idempotency_key=key)


def test_the_query_is_written_as_revor_reads_it():
    request = Request("GET", "x", params={"can_send": True, "channel": None, "limit": 5, "off": False})
    assert request.params == {"can_send": "true", "limit": "5", "off": "false"}


def test_a_body_is_utf8_json():
    request = Request("POST", "x", body={"text": "Grüße"})
    assert request.content == '{"text": "Grüße"}'.encode()
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert Request("POST", "x").content is None


@pytest.mark.parametrize("body", [{"x": object()}, {"x": float("nan")}, {"x": "\ud800"}, {"x": b"y"}])
def test_a_body_that_is_not_json_is_refused(body):
    with pytest.raises(ValueError, match="not plain JSON"):
        _ = Request("POST", "x", body=body).content


@pytest.mark.parametrize(
    ("request_", "repeatable"),
    [
        (GET, True),
        (Request("POST", "x"), False),
        (Request("DELETE", "x"), False),
        (Request("POST", "x", idempotency_key="k"), True),
    ],
)
def test_only_what_cannot_act_twice_is_repeatable(request_, repeatable):
    assert request_.repeatable is repeatable


def test_a_success_is_its_envelope():
    body = {"ok": True, "request_id": "req_1", "items": []}
    assert decode(GET, response(200, body), "c").body == body


@pytest.mark.parametrize(
    ("status", "cls", "fatal"),
    [
        (400, e.RevorRequestError, True),
        (401, e.RevorAuthenticationError, True),
        (403, e.RevorPermissionError, True),
        (404, e.RevorNotFoundError, False),
        (408, e.RevorServerError, False),
        (409, e.RevorConflictError, False),
        (422, e.RevorRequestError, True),
        (429, e.RevorRateLimitError, False),
        (500, e.RevorServerError, False),
        (502, e.RevorServerError, False),
        (503, e.RevorServerError, False),
        (599, e.RevorServerError, False),
    ],
)
def test_each_status_has_its_error_which_says_all_that_is_known(status, cls, fatal):
    from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

    with pytest.raises(e.RevorError) as caught:
        decode(GET, response(status, refusal("a_code", "Words of Revor.")), "my_conn")
    error = caught.value
    assert type(error) is cls
    assert isinstance(error, AirflowException)
    assert isinstance(error, AirflowFailException) is fatal
    assert (error.code, error.status_code, error.request_id) == ("a_code", status, "req_refused")
    for part in ("a_code", "Words of Revor.", "req_refused", "GET /api/v1/connect/accounts", "'my_conn'", str(status)):
        assert part in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b"[1]", b'"x"', b'{"error": 5}', b'{"error": {"code": 7}}']
)
@pytest.mark.parametrize("status", [401, 429, 502])
def test_an_error_without_an_envelope_is_still_the_right_one(status, body):
    with pytest.raises(e.RevorError) as caught:
        decode(GET, response(status, body, content_type="text/html"), "c")
    assert caught.value.status_code == status
    assert caught.value.code is None
    assert caught.value.request_id is None
    assert "<html>" not in str(caught.value)


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
    with pytest.raises(e.RevorResponseError) as caught:
        decode(GET, response(200, refusal("odd", "Really.")), "c")
    assert (caught.value.code, caught.value.request_id) == ("odd", "req_refused")


def test_a_redirect_is_not_an_answer_and_shows_only_its_host():
    with pytest.raises(e.RevorResponseError, match="redirect to other.example, which is not followed") as caught:
        decode(GET, response(302, b"", location="https://user:pw@other.example/login?token=secret"), "c")
    assert "secret" not in str(caught.value)


def test_what_revor_says_stays_on_one_bounded_line():
    with pytest.raises(e.RevorRequestError) as caught:
        decode(GET, response(400, refusal("c", "two\nlines\x1b[31m " + "x" * 10_000)), "c")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1_000


# 1,000,000 seconds after the epoch is when the response was received.
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
        ({"x_ratelimit_window_ms": "1500"}, 1.5),
        ({"x_ratelimit_window_ms": "0"}, None),
        ({"x_ratelimit_window_ms": "-1"}, None),
        ({"retry_after": "soon", "x_ratelimit_window_ms": "1500"}, 1.5),
        ({"retry_after": "3", "x_ratelimit_window_ms": "1500"}, 3.0),
    ],
)
def test_how_long_an_answer_asks_to_stay_away(headers, seconds):
    assert retry_after(response(429, refusal(), **headers)) == seconds


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
