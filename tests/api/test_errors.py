"""Which error a response means, whether it may pass, and what its message says."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from factories import refusal, response

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.answers import decode
from airflow_provider_revor.api.errors import _BY_CODE, _BY_PART_OF_CODE
from airflow_provider_revor.api.wire import Request, Response

GET = Request("GET", "/api/v1/connect/accounts")
HTML = b"<!DOCTYPE html><title>Log in</title>"
SECONDS = {"retry_after": "7"}
WINDOW = {"x_ratelimit_window_ms": "3600000"}


def error_of(status: int, body: Any, **headers: str) -> e.RevorError:
    with pytest.raises(e.RevorError) as caught:
        decode(GET, response(status, body, **headers), "my_conn")
    return caught.value


class Case(NamedTuple):
    """A response, and what it means: which error, whether it may pass by itself, and the wait that it asks for."""

    status: int
    body: Any
    headers: dict[str, str]
    error: type[e.RevorError]
    passes: bool
    wait: float | None = None


def says(code: str, **more: Any) -> dict[str, Any]:
    return {**refusal(code), **more}


WITHOUT_OK = {"error": {"code": "odd", "message": "Odd."}}
KNOWN_WITHOUT_OK = {"error": {"code": "permission_denied", "message": "No."}}
MESSAGE_ALONE = {"ok": False, "error": {"message": "Odd."}}

# fmt: off
TABLE = {
    # In Revor's envelope: the status decides.
    "400": Case(400, says("invalid_channel"), {}, e.RevorRequestError, False),
    "401": Case(401, says("api_key_invalid"), {}, e.RevorAuthenticationError, False),
    "401, unknown code": Case(401, says("odd"), {}, e.RevorAuthenticationError, False),
    "402, unknown code": Case(402, says("odd"), {}, e.RevorRequestError, False),
    "403": Case(403, says("permission_denied"), {}, e.RevorPermissionError, False),
    "403, unknown code": Case(403, says("odd"), {}, e.RevorPermissionError, False),
    "404": Case(404, says("odd"), {}, e.RevorNotFoundError, False),
    "408": Case(408, says("timeout"), {}, e.RevorServerError, True),
    "409": Case(409, says("odd"), {}, e.RevorConflictError, False),
    "422 is like 400": Case(422, says("odd"), {}, e.RevorRequestError, False),
    "429": Case(429, says("api_rate_limit_exceeded"), SECONDS, e.RevorRateLimitError, True, 7.0),
    "429, a window": Case(429, says("api_rate_limit_exceeded"), WINDOW, e.RevorRateLimitError, True, 3600.0),
    "500": Case(500, says("odd"), {}, e.RevorServerError, True),
    "502, a window is no wait": Case(502, says("odd"), WINDOW, e.RevorServerError, True),
    "503": Case(503, says("odd"), SECONDS, e.RevorServerError, True, 7.0),
    "599": Case(599, says("odd"), {}, e.RevorServerError, True),
    "400, a wait that nobody can use": Case(400, says("odd"), SECONDS, e.RevorRequestError, False),
    # In Revor's envelope: a known code decides, whatever the status.
    "credits, 402": Case(402, says("insufficient_credits"), {}, e.RevorPlanError, False),
    "credits, 403": Case(403, says("insufficient_credits"), {}, e.RevorPlanError, False),
    "credits, 429": Case(429, says("insufficient_credits"), SECONDS, e.RevorPlanError, False),
    "credits, 500": Case(500, says("insufficient_credits"), {}, e.RevorPlanError, False),
    "credits, 200": Case(200, says("insufficient_credits"), {}, e.RevorPlanError, False),
    "a user's credits": Case(400, says("USER_INSUFFICIENT_CREDITS"), {}, e.RevorPlanError, False),
    "the plan": Case(403, says("membership_tier_insufficient"), {}, e.RevorPlanError, False),
    "jobs, 409": Case(409, says("x_job_concurrency_limit_exceeded"), SECONDS, e.RevorRateLimitError, True, 7.0),
    "jobs, 400": Case(400, says("job_concurrency_limit_exceeded_x"), {}, e.RevorRateLimitError, True),
    "jobs, 503, a window": Case(503, says("job_concurrency_limit_exceeded"), WINDOW, e.RevorRateLimitError, True),
    "no task": Case(400, says("external_api_task_not_found"), {}, e.RevorNotFoundError, False),
    "no job": Case(404, says("external_api_job_not_found"), {}, e.RevorNotFoundError, False),
    "no account": Case(404, says("account_not_found"), {}, e.RevorNotFoundError, False),
    "no endpoint": Case(404, says("endpoint_not_found"), {}, e.RevorNotFoundError, False),
    "a key used before": Case(409, says("idempotency_conflict"), {}, e.RevorIdempotencyConflictError, False),
    # Still Revor's envelope.
    "403, `ok` is missing, but the code is Revor's": Case(403, KNOWN_WITHOUT_OK, {}, e.RevorPermissionError, False),
    "403, a message alone": Case(403, MESSAGE_ALONE, {}, e.RevorPermissionError, False),
    # Without Revor's envelope, nobody knows who spoke: it may pass.
    "403, `ok` is missing, and the code is a gateway's": Case(403, WITHOUT_OK, {}, e.RevorResponseError, True),
    "400, an HTML page": Case(400, HTML, {}, e.RevorResponseError, True),
    "401, nothing": Case(401, b"", {}, e.RevorResponseError, True),
    "403, an HTML page": Case(403, HTML, {}, e.RevorResponseError, True),
    "403, a wait": Case(403, HTML, SECONDS, e.RevorResponseError, True, 7.0),
    "404, another shape": Case(404, {"detail": "Not Found"}, {}, e.RevorResponseError, True),
    "404, a list": Case(404, [1], {}, e.RevorResponseError, True),
    "409, a text": Case(409, b"conflict", {"content_type": "text/plain"}, e.RevorResponseError, True),
    "400, an error that is a string": Case(400, {"ok": False, "error": "odd"}, {}, e.RevorResponseError, True),
    "400, an error without words": Case(400, {"ok": False, "error": {}}, {}, e.RevorResponseError, True),
    "400, a code that is a number": Case(400, {"error": {"code": 7}}, {}, e.RevorResponseError, True),
    "400, a message alone, `ok` is missing": Case(400, {"error": {"message": "x"}}, {}, e.RevorResponseError, True),
    # Without Revor's envelope: what every gateway means by these.
    "408, nothing": Case(408, b"", {}, e.RevorServerError, True),
    "429, an HTML page": Case(429, HTML, SECONDS, e.RevorRateLimitError, True, 7.0),
    "429, nothing": Case(429, b"", WINDOW, e.RevorRateLimitError, True, 3600.0),
    "502, an HTML page": Case(502, HTML, SECONDS, e.RevorServerError, True, 7.0),
    "504, nothing": Case(504, b"", WINDOW, e.RevorServerError, True),
    # No error status, and no success.
    "200, an HTML page": Case(200, HTML, {}, e.RevorResponseError, True),
    "200, `ok` is false": Case(200, says("odd"), {}, e.RevorResponseError, True),
    "302": Case(302, b"", {"location": "https://login.example/"}, e.RevorResponseError, True),
}
# fmt: on


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_each_response_has_its_error(case):
    error = error_of(case.status, case.body, **case.headers)
    assert type(error) is case.error
    assert isinstance(error, e.RevorTransientError) is case.passes
    assert error.retry_after == case.wait
    assert error.status_code == case.status


FATAL = {
    e.RevorRequestError,
    e.RevorAuthenticationError,
    e.RevorPermissionError,
    e.RevorPlanError,
    e.RevorIdempotencyConflictError,
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_each_message_says_what_is_wrong_then_what_to_do_then_the_rest(case):
    error = error_of(case.status, case.body, **case.headers)
    assert isinstance(error, AirflowException)
    assert isinstance(error, AirflowFailException) is (type(error) in FATAL)
    code, trace = error.code and f" {error.code}", f"request_id {error.request_id}"
    words = re.escape(f"{error.reason} {error.advice}") + r'( The response says: "[^"]+")?' + re.escape(" [GET /api/v1")
    assert re.match(words, str(error))
    assert f" [GET /api/v1/connect/accounts: {case.status}{code or ''}, " in str(error)
    assert str(error).endswith(f"{trace if error.request_id else 'no request_id'}]")
    assert error.reason.count("on connection 'my_conn'") == 1
    assert error.reason.endswith(".")
    assert error.advice.endswith(".")


def test_a_message_reads_like_this():
    said = refusal("api_key_invalid", "Unknown key.")
    assert str(error_of(401, said)) == (
        "The API key is not valid on connection 'my_conn'. Put a valid one into the password of connection 'my_conn'; "
        'keys are made at https://revor.ai/my-api-keys. The response says: "Unknown key." '
        "[GET /api/v1/connect/accounts: 401 api_key_invalid, request_id req_refused]"
    )
    said = refusal("invalid_channel", "The channel must be email, linkedin or whatsapp.")
    assert str(error_of(400, said)) == (
        "Revor rejected the request on connection 'my_conn': The channel must be email, linkedin or whatsapp. Fix the "
        "request: Revor would reject it again. "
        "[GET /api/v1/connect/accounts: 400 invalid_channel, request_id req_refused]"
    )
    assert str(error_of(403, HTML)) == (
        "Something other than Revor responded on connection 'my_conn': an HTML page of 36 bytes, not the documented "
        "JSON. Check the host of connection 'my_conn', and what stands between Revor and Airflow: a proxy, a "
        "gateway, a login page. [GET /api/v1/connect/accounts: 403, no request_id]"
    )
    assert error_of(429, refusal("api_rate_limit_exceeded"), retry_after="6.5").advice == (
        "Wait at least 7 s before the next request. Send fewer requests: all keys of one Revor user share the limit."
    )


@pytest.mark.parametrize("code", [*_BY_CODE, *(f"external_api_{part}_x" for part in _BY_PART_OF_CODE), "odd"])
@pytest.mark.parametrize("status", [200, 400, 401, 404, 409, 429, 503])
def test_what_revor_says_is_always_quoted_with_all_that_is_known(status, code):
    error = error_of(status, refusal(code, "Words of Revor."))
    assert (error.code, error.status_code, error.request_id) == (code, status, "req_refused")
    for part in (code, "Words of Revor.", "req_refused", "GET /api/v1/connect/accounts", "'my_conn'", str(status)):
        assert part in str(error)


@pytest.mark.parametrize("code", [*_BY_CODE, *_BY_PART_OF_CODE])
@pytest.mark.parametrize("spell", [str.lower, str.upper])
def test_a_known_code_means_the_same_with_any_status(code, spell):
    errors = {type(error_of(status, refusal(spell(code)))) for status in (200, 400, 403, 404, 409, 422, 429, 500, 503)}
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (402, "insufficient_credits", "Have a person add credits"),
        (402, "membership_tier_insufficient", "upgrade the plan"),
        (409, "external_api_job_concurrency_limit_exceeded", "Wait until running jobs have ended"),
        (404, "external_api_task_not_found", "Check the job's id"),
        (404, "endpoint_not_found", "Check the method and the path"),
        (401, "api_key_missing", "Authorization header"),
        (403, "permission_denied", "connect.accounts:read"),
        (500, "odd", "the request id"),
    ],
)
def test_the_advice_fits_the_code(status, code, advice):
    assert advice in error_of(status, refusal(code)).advice


@pytest.mark.parametrize(
    ("body", "headers", "kind"),
    [
        pytest.param(b"", {}, "an empty body", id="empty"),
        pytest.param(HTML, {"content_type": "text/html"}, "an HTML page", id="html"),
        pytest.param(b"\n <html>", {"content_type": "application/json"}, "an HTML page", id="html called JSON"),
        pytest.param({"message": "Forbidden"}, {}, "JSON of another shape", id="object"),
        pytest.param("no", {}, "JSON of another shape", id="string"),
        pytest.param(None, {}, "JSON of another shape", id="null"),
        pytest.param({"error": {}}, {}, "JSON of another shape, with an `error` of another kind", id="error"),
        pytest.param(b'{"ok": fal', {"content_type": "application/json"}, "10 bytes of JSON that cannot", id="cut"),
        pytest.param(b"no", {"content_type": "text/plain; charset=x"}, "2 bytes of text/plain", id="text"),
        pytest.param(b"\x00\x01", {}, "2 bytes of no stated type", id="bytes"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_4xx_that_is_not_revors_names_the_kind_of_body_and_gives_no_advice_of_revors(status, body, headers, kind):
    error = error_of(status, body, **headers)
    assert f": {kind}" in error.reason
    assert "not the documented JSON" in error.reason
    assert error.code is None
    assert error.advice.startswith("Check the host of connection 'my_conn'")
    for word in ("permission", "API key", "valid one", "id,", "Fix", "html>", "Forbidden"):
        assert word not in str(error)


@pytest.mark.parametrize("status", [408, 429, 502])
def test_a_gateways_status_names_the_kind_of_body(status):
    assert "the response was an HTML page of 36 bytes." in error_of(status, HTML).reason


def test_a_body_that_was_not_read_is_not_called_empty():
    with pytest.raises(e.RevorResponseError, match=r"responded .*: a body larger than 2 MB, not the documented JSON"):
        decode(GET, Response(403, {}, b"", 0.0, "a body larger than 2 MB"), "c")


@pytest.mark.parametrize("content_type", ["x" * 60_000, "te\x1b[31mxt/\u202eplain", "a\r\nb"])
def test_a_content_type_is_quoted_on_one_bounded_line(content_type):
    error = error_of(403, b"x", content_type=content_type)
    assert len(str(error)) < 500
    assert str(error).isprintable()


def test_a_strangers_message_is_quoted_as_the_responses_not_as_revors():
    error = error_of(403, {"error": {"message": "Blocked by policy 7."}})
    assert type(error) is e.RevorResponseError
    assert 'The response says: "Blocked by policy 7." [GET' in str(error)
