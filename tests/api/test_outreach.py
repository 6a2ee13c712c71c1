from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from factories import job, refusal, resource, response
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.answers import Envelope, decode
from airflow_provider_revor.api.jobs import OutreachJob, job_from_dict, job_request, read_job
from airflow_provider_revor.api.outreach import dispatch_request, post_like_request
from airflow_provider_revor.api.text import hide
from airflow_provider_revor.api.wire import Request

EMAIL = ("acc_1", "email", {"address": "ada@example.com"}, {"subject": "Hello", "text": "Grüße"})
PROFILE = "https://www.linkedin.com/in/ada"
NOTHING = [None, "", "None"]


def read(item) -> OutreachJob:
    return read_job(Envelope(resource(item), "GET /x"))


# -- requests --------------------------------------------------------------------------------------------


def test_a_dispatch_is_as_documented():
    request = dispatch_request(
        *EMAIL, metadata={"campaign": 7}, min_channel_task_interval_seconds=240, idempotency_key="k-1"
    )
    assert (request.method, request.path) == ("POST", "/api/v1/outreach/dispatches")
    assert request.headers["Idempotency-Key"] == "k-1"
    assert json.loads(request.content) == {
        "account_id": "acc_1",
        "channel": "email",
        "action": "outreach",
        "recipient": {"address": "ada@example.com"},
        "content": {"subject": "Hello", "text": "Grüße"},
        "metadata": {"campaign": 7},
        "min_channel_task_interval_seconds": 240,
    }
    assert "Grüße".encode() in request.content


@pytest.mark.parametrize("nothing", NOTHING)
def test_what_rendered_to_nothing_is_left_out(nothing):
    recipient, content = {"address": "ada@example.com", "name": nothing}, {**EMAIL[3], "html": nothing}
    kwargs = {"metadata": nothing, "min_channel_task_interval_seconds": nothing}
    assert dispatch_request("acc_1", "email", recipient, content, **kwargs) == dispatch_request(*EMAIL)
    names = ("content", "intent", "account_id", "post_limit", "locale", "min_channel_task_interval_seconds")
    assert post_like_request(PROFILE, topic="x", **dict.fromkeys(names, nothing)).body == {
        "profile_url": PROFILE,
        "topic": "x",
    }


def test_metadata_may_be_empty_and_a_text_may_hold_the_word():
    assert dispatch_request(*EMAIL, metadata={}).body["metadata"] == {}
    content = {"subject": "None left", "text": "None of it."}
    assert dispatch_request(*EMAIL[:3], content).body["content"] == content


def test_only_what_the_channel_takes_of_a_recipient_is_sent():
    lead = {"address": "ada@example.com", "phone": "+1 202 555 0123", "profile_url": PROFILE, "name": " Ada ", "x": 1}
    assert dispatch_request("acc_1", " whatsapp\n", lead, {"text": "x"}).body["recipient"] == {
        "phone": "+1 202 555 0123",
        "name": "Ada",
    }


def test_a_post_like_is_as_documented():
    request = post_like_request(
        f" {PROFILE}\n",
        content="a",
        topic="b",
        intent="c",
        account_id="acc_1",
        post_limit="5",
        locale="en",
        min_channel_task_interval_seconds="90",
        idempotency_key="k-1",
    )
    assert (request.method, request.path) == ("POST", "/api/v1/outreach/linkedin/post-likes")
    assert request.headers["Idempotency-Key"] == "k-1"
    assert request.body == {
        "profile_url": PROFILE,
        "content": "a",
        "topic": "b",
        "intent": "c",
        "account_id": "acc_1",
        "post_limit": 5,
        "locale": "en",
        "min_channel_task_interval_seconds": 90,
    }


@pytest.mark.parametrize("key", ["", " ", "a b", "grüße", "a\nb"])
def test_a_key_that_cannot_be_sent_is_a_value_error(key):
    with pytest.raises(e.RevorValueError, match="printable ASCII"):
        dispatch_request(*EMAIL, idempotency_key=key)


def test_what_cannot_be_sent_is_a_value_error():
    with pytest.raises(e.RevorValueError, match=r"recipient\.phone"):
        dispatch_request("acc_1", "whatsapp", {}, {"text": "x"})
    with pytest.raises(e.RevorValueError, match="profile_url is missing"):
        post_like_request("")
    with pytest.raises(e.RevorValueError, match="not plain JSON"):
        _ = dispatch_request(*EMAIL, metadata={"at": datetime.now(UTC)}).content


@pytest.mark.parametrize(
    ("job_id", "path"),
    [("job_1", "job_1"), (" job_1\n", "job_1"), (7, "7"), ("a/b?c#d é", "a%2Fb%3Fc%23d%20%C3%A9")],
)
def test_a_job_is_asked_for_by_its_id(job_id, path):
    assert job_request(job_id) == Request("GET", f"/api/v1/outreach/jobs/{path}")


@pytest.mark.parametrize("job_id", [None, "", " ", "None", ".", ".."])
def test_an_id_that_names_no_job_is_a_value_error(job_id):
    with pytest.raises(e.RevorValueError, match="must name an outreach job"):
        job_request(job_id)


# -- answers ---------------------------------------------------------------------------------------------


def test_a_job_is_read_and_written_field_by_field():
    assert read(job()).as_dict() == job()
    assert json.loads(json.dumps(read(job()).as_dict())) == job()
    assert OutreachJob(**read(job()).as_dict()) == read(job())


def test_what_a_new_job_does_not_tell_is_none():
    receipt = {"id": "job_1", "status": "queued", "action": "outreach.dispatch", "channel": "email"}
    assert read(receipt).as_dict() == {**dict.fromkeys(job()), **receipt}


def test_unknown_fields_are_ignored_and_unknown_values_survive():
    odd = read(job(status="settling", action="outreach.fax", channel="fax", added_later=[1]))
    assert (odd.status, odd.action, odd.channel) == ("settling", "outreach.fax", "fax")
    assert "added_later" not in odd.as_dict()


def test_nothing_of_the_message_survives():
    result = {**job()["result"], "text": "Hello Ada", "recipient": "ada@example.com"}
    assert read(job(result=result)) == read(job())
    assert "msg_1" not in repr(read(job()))


@pytest.mark.parametrize("name", ["id", "status"])
@pytest.mark.parametrize("value", [None, 5, "", [], "missing"])
def test_a_missing_or_mistyped_field_is_named(name, value):
    broken = job(**{name: value})
    if value == "missing":
        del broken[name]
    with pytest.raises(e.RevorResponseError, match=rf"`item\.{name}` should be a string.*req_item"):
        read(broken)


@pytest.mark.parametrize("name", ["result", "error"])
@pytest.mark.parametrize("value", ["ada@example.com", 5, [], False])
def test_a_result_and_an_error_are_objects(name, value):
    with pytest.raises(e.RevorResponseError, match=rf"`item\.{name}` should be an object or null") as caught:
        read(job(**{name: value}))
    assert "ada@example.com" not in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
nearly_jobs = st.fixed_dictionaries({name: anything | st.just(value) for name, value in job().items()})


@given(anything | st.builds(resource, nearly_jobs | anything))
def test_any_json_is_a_job_or_a_response_error(body):
    try:
        one = read_job(decode(Request("GET", "x"), response(200, json.dumps(body).encode()), "c"))
    except e.RevorResponseError:
        return
    assert isinstance(one.id, str)
    assert isinstance(one.status, str)
    assert isinstance(one.standing + one.ending, str)
    assert isinstance(str(one.failure("c")), str)
    assert {type(one.begins_at), type(one.ended_at)} <= {float, type(None)}


# -- how it stands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "ended", "failed", "said"),
    [
        ("succeeded", True, False, "has succeeded"),
        ("failed", True, True, "has failed"),
        ("cancelled", True, True, "was cancelled"),
        ("queued", False, False, "is queued"),
        ("scheduled", False, False, "is scheduled"),
        ("running", False, False, "is running"),
        ("settling", False, False, "is settling"),
        ("Failed", False, False, "is Failed"),
    ],
)
def test_what_is_not_known_goes_on(status, ended, failed, said):
    one = OutreachJob(**job(status=status))
    assert (one.ended, one.failed) == (ended, failed)
    assert one.ended_at == (1_767_258_002.0 if ended else None)
    assert one.begins_at == (1_767_258_000.0 if status in ("queued", "scheduled") else None)
    assert one.standing.startswith(f"Outreach job job_1 {said}")


@pytest.mark.parametrize("at", ["2026-01-01T09:00:02Z", "2026-01-01T10:00:02.000+01:00", "2026-01-01T09:00:02"])
def test_a_time_without_a_zone_is_utc(at):
    assert OutreachJob(**job(finished_at=at)).ended_at == 1_767_258_002.0


@pytest.mark.parametrize(
    "at", ["9:", "2026-01-01/00:00:00+00:00", "P1Y", "2026-W99-9", "\ud800", "9" * 60_000, 5, ["x"]]
)
def test_a_time_that_cannot_be_read_is_none(at):
    assert OutreachJob(**job(status="scheduled", scheduled_at=at)).begins_at is None
    assert OutreachJob(**job(finished_at=at)).ended_at is None


@pytest.mark.parametrize("hours", [-5, 0, 5])
def test_an_end_is_told_by_revors_clock_and_a_begin_by_ours(hours):
    # It answers at the second 1,000,000 of this machine's epoch.
    revor_now = 1_000_000 + hours * 3600
    date = format_datetime(datetime.fromtimestamp(revor_now, UTC), usegmt=True)
    at = datetime.fromtimestamp(revor_now - 60, UTC).isoformat()
    item = job(finished_at=at, scheduled_at=at)
    one = read_job(decode(Request("GET", "x"), response(200, resource(item), date=date), "c"))
    assert (one.ended_at, one.answered_at) == (revor_now - 60, revor_now)
    assert one.as_dict() == item
    assert replace(one, status="queued").begins_at == 999_940.0


def test_a_skipped_post_like_is_a_success_and_says_so():
    skipped = OutreachJob(**job(action="outreach.linkedin.post_like", result={"status": "skipped"}))
    assert (skipped.skipped, skipped.failed) == (True, False)
    assert "was skipped" in skipped.ending
    assert not OutreachJob(**job(status="failed", result={"status": "skipped"})).skipped
    assert OutreachJob(**job()).ending == "Outreach job job_1 has succeeded."


# -- why it failed ---------------------------------------------------------------------------------------


def failure(status="failed", for_good=False, **error):
    return OutreachJob(**job(status=status, error=error or None)).failure("revor_default", for_good=for_good)


def test_a_failure_tells_the_code_why_and_what_to_do():
    told = failure(code="mailbox_full", message="The mailbox\nis full.", retryable=False)
    for words in (
        "job_1",
        "outreach.dispatch",
        "'revor_default'",
        "mailbox_full: The mailbox is full. Trying again as it is will not help: fix the cause",
        "clear the task that created the job",
    ):
        assert words in str(told)
    assert told.code == "mailbox_full"
    assert str(failure()).startswith("Outreach job job_1 failed on connection 'revor_default'. ")
    assert "was cancelled in Revor on connection 'revor_default'. " in str(failure("cancelled"))
    assert ": by_owner: Why not. " in str(failure("cancelled", code="by_owner", message="Why not"))


@pytest.mark.parametrize(
    ("code", "remedy", "to_the_console"),
    [
        pytest.param("recipient_unreachable", "correct the recipient", False, id="recipient"),
        pytest.param("connect_account_reconnect_required", "fix the account at", True, id="account"),
        pytest.param("insufficient_credits", "have a person add credits", False, id="credits"),
        pytest.param("mailbox_full", "It may be the message, the recipient, or the account at", True, id="unknown"),
    ],
)
def test_a_failure_points_to_what_is_to_be_fixed(code, remedy, to_the_console):
    told = str(failure(code=code, retryable=False))
    assert remedy in told
    assert ("https://revor.ai/console/connect" in told) is to_the_console


@pytest.mark.parametrize("status", ["failed", "cancelled"])
@pytest.mark.parametrize(
    ("error", "for_good", "cls"),
    [
        ({"code": "c", "retryable": True}, False, e.RevorJobError),
        ({"code": "c", "retryable": True}, True, e.RevorJobFailedError),
        ({"code": "c", "retryable": False}, False, e.RevorJobFailedError),
        ({"code": "c"}, False, e.RevorJobFailedError),
        ({"code": "c", "retryable": "true"}, False, e.RevorJobFailedError),
        ({"code": "insufficient_credits", "retryable": True}, False, e.RevorJobFailedError),
        ({}, False, e.RevorJobFailedError),
    ],
)
def test_only_what_revor_says_can_be_tried_again_is(status, error, for_good, cls):
    assert type(failure(status, for_good, **error)) is cls


@pytest.mark.parametrize(
    ("code", "passing"),
    [
        ("external_api_worker_unavailable", True),
        ("external_api_retry_enqueue_failed", True),
        ("external_api_billing_retryable", True),
        ("provider_timeout", True),
        ("Temporarily_Blocked", True),
        ("non_retryable_error", False),
        ("connect_account_reconnect_required", False),
        ("USER_INSUFFICIENT_CREDITS", False),
        ("membership_tier_insufficient", False),
        ("retry", False),
        ("nonretryable", False),
        ("non-retryable", False),
        ("unretryable", False),
        ("retryable_false", False),
        ("contemporary", False),
        (["timeout"], False),
        (7, False),
    ],
)
def test_codes_that_revors_clients_take_as_passing(code, passing):
    failed = OutreachJob(**job(status="failed", error={"code": code, "retryable": False}))
    assert failed.retry_may_help is passing
    # A cancel's code is the word of whoever cancelled it.
    assert not replace(failed, status="cancelled").retry_may_help
    assert not replace(failed, status="succeeded").retry_may_help


@pytest.mark.parametrize("bad", ["x" * 201, "a b", "a\nERROR", "\x1b[31mjob", "", 7])
def test_an_id_that_cannot_be_one_is_not_as_documented(bad):
    with pytest.raises(e.RevorResponseError, match=r"item\.id"):
        read(job(id=bad))


def test_whatever_revor_calls_a_status_takes_one_short_line():
    one = OutreachJob(**job(status="odd\n\x1b[31m" + "x" * 60_000, action="y\n" * 9_000))
    for text in (one.label, one.standing, one.ending, str(one.failure("c"))):
        assert len(text) < 1500
        assert text.isprintable()


@pytest.mark.parametrize("error", [{"code": 5, "message": ["x"]}, {"code": "\x1b[2J", "message": "a\r\nb" * 9999}])
def test_an_odd_error_breaks_nothing(error):
    told = str(failure(**error))
    assert "\x1b" not in told
    assert "\n" not in told
    assert len(told) < 1000


# -- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "cls", "advice"),
    [
        (409, "idempotency_conflict", e.RevorIdempotencyConflictError, "`idempotency_key` of its own"),
        (409, "account_unavailable", e.RevorConflictError, "reconnected"),
        (404, "account_not_found", e.RevorNotFoundError, "account_id"),
        (404, "external_api_job_not_found", e.RevorNotFoundError, "job's id"),
    ],
)
def test_a_refusal_says_what_to_do(status, code, cls, advice):
    with pytest.raises(e.RevorError, match=advice) as caught:
        decode(dispatch_request(*EMAIL), response(status, refusal(code)), "c")
    assert type(caught.value) is cls
    assert "ada@example.com" not in str(caught.value)


def test_why_a_job_failed_is_cleaned_where_the_key_is_known():
    hide("sk-revor-0a1b2c3d4e5f")
    error = {"code": "odd\n", "message": "The key sk-revor-0a1b2c3d4e5f is odd.", "retryable": True, "x": "\n"}
    found = read(job(status="failed", error=error))
    assert found.error == {"code": "odd", "message": "The key *** is odd.", "retryable": True, "x": "\n"}
    assert job_from_dict(found.as_dict()).error == found.error
