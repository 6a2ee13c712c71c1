"""A batch sends to each person once, at Revor's pace, and tells what became of each."""

from __future__ import annotations

import json
import logging
import time
from datetime import timedelta
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred
from factories import refusal, resource
from outreach_tasks import ROOT, Assets, Store, context, keys

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.rules.batch import End, pack
from airflow_provider_revor.rules.keys import task_key
from airflow_provider_revor.triggers.xcoms import TaskXComs


def message(number, **changes):
    return {
        "reference": f"crm-{number}",
        "account_id": "acc_email",
        "channel": "email",
        "recipient": {"address": f"lead{number}@example.com"},
        "content": {"subject": "Hello", "text": "A secret"},
        **changes,
    }


def batch(people=3, **kwargs):
    messages = kwargs.pop("messages", None) or [message(number) for number in range(people)]
    return OutreachBatchOperator(task_id="send", messages=messages, **{"poke_interval": 0.1, **kwargs})


@pytest.fixture
def pushed(monkeypatch):
    """The XComs of the task."""
    xcoms: dict = {}
    monkeypatch.setattr(TaskXComs, "get", lambda _, key: json.loads(json.dumps(xcoms.get(key))))
    return xcoms


@pytest.fixture
def pauses(monkeypatch):
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def run(operator, pushed, try_number=1, **kwargs):
    return operator.execute(context(try_number, pushed, map_index=-1, **kwargs))


def statuses(pushed):
    return [row["status"] for row in pushed["jobs"]]


@pytest.mark.parametrize(
    ("retryable", "automatic", "jobs"),
    [
        pytest.param(True, True, 2, id="a-retry-if-trying-again-may-help"),
        pytest.param(False, True, 1, id="a-retry-if-not"),
        pytest.param(False, False, 2, id="a-clear"),
    ],
)
def test_without_a_store_what_failed_is_sent_again_too(ready, pushed, retryable, automatic, jobs):
    """As a dispatch does: what this try records before it sends is no record of an earlier one."""
    ready.script_jobs("failed", error={"code": "no_mailbox", "retryable": retryable})
    with pytest.raises(e.RevorError):
        run(batch(1, wait_for_completion=False), pushed)
    ready.advance(minutes=5)
    again = batch(1, wait_for_completion=False)
    if jobs == 1:
        with pytest.raises(e.RevorBatchFailedError):
            run(again, pushed, 2, automatic=automatic)
    else:
        assert run(again, pushed, 2, automatic=automatic)["sent"] == 1
    assert len(ready.jobs) == jobs


# -- sending ---------------------------------------------------------------------------------------------


def test_each_person_gets_one_message_under_the_key_of_a_dispatch(ready, pushed):
    summary = run(batch(wait_for_completion=False), pushed)
    assert (summary["total"], summary["sent"]) == (3, 3)
    assert keys(ready) == [task_key("d", "r", "t", {"address": f"lead{n}@example.com"}) for n in range(3)]
    assert [entry.min_channel_task_interval_seconds for entry in ready.outbox] == [
        row["interval"] for row in pushed["jobs"]
    ]
    assert [row["job_id"] for row in pushed["jobs"]] == [job["id"] for job in ready.jobs]
    assert "secret" not in json.dumps(pushed)
    assert "example.com" not in json.dumps(pushed)


def test_the_channels_of_a_batch_are_mixed(ready, pushed):
    phone = {"account_id": "acc_whatsapp", "channel": "whatsapp", "recipient": {"phone": "+49 30 1"}}
    summary = run(batch(messages=[message(0), message(1, **phone)], wait_for_completion=False), pushed)
    assert {name: counts["sent"] for name, counts in summary["by_channel"].items()} == {"email": 1, "whatsapp": 1}
    assert set(summary["by_account"]) == {"acc_email", "acc_whatsapp"}


def test_nothing_is_sent_if_one_message_is_invalid(ready, pushed):
    with pytest.raises(ValueError, match=r"messages\[1\] \(reference crm-1\)"):
        run(batch(messages=[message(0), message(1, recipient={})]), pushed)
    assert ready.request_count == 0


def test_invalid_messages_may_be_skipped(ready, pushed):
    messages = [message(0), message(1, recipient={}), message(0)]
    summary = run(batch(messages=messages, on_invalid="skip", wait_for_completion=False), pushed)
    assert statuses(pushed) == ["succeeded", "skipped", "skipped"]
    assert summary["references"] == {"invalid_message": ["crm-1"], "duplicate_person": ["crm-0"]}
    assert len(ready.outbox) == 1


def test_an_empty_list_sends_nothing_and_says_so(ready, pushed):
    assert run(OutreachBatchOperator(task_id="send", messages=[]), pushed)["total"] == 0
    assert ready.request_count == 0


def test_a_message_that_one_account_cannot_send_is_its_own_failure(ready, pushed):
    messages = [message(0), message(1, account_id="acc_gone"), message(2)]
    with pytest.raises(e.RevorBatchError) as failed:
        run(batch(messages=messages, wait_for_completion=False), pushed)
    assert not isinstance(failed.value, AirflowFailException), "the account may come back"
    assert "3 messages: 2 sent, 0 skipped, 1 failed. By code: 1 account_not_found (crm-1)." in str(failed.value)
    assert [row["code"] for row in pushed["jobs"]] == [None, "account_not_found", None]
    assert run(batch(messages=messages, wait_for_completion=False, max_failed=0.5), pushed, 2)["failed"] == 1


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        pytest.param(lambda ready: ready.set_key(valid=False), e.RevorAuthenticationError, id="401"),
        pytest.param(lambda ready: ready.set_key(permitted=False), e.RevorPermissionError, id="403"),
        pytest.param(lambda ready: ready.fail(404, code="endpoint_not_found"), e.RevorNotFoundError, id="no-endpoint"),
    ],
)
def test_an_error_that_concerns_all_ends_the_try(ready, pushed, break_it, error):
    break_it(ready)
    with pytest.raises(error):
        run(batch(), pushed)
    assert ready.request_count == 1
    assert pushed["return_value"]["by_code"] == {"not_sent": 3}


def test_what_was_sent_before_such_an_error_is_told(ready, pushed):
    ready.answer(202, resource({"id": "job_1", "status": "queued"}))
    ready.fail(401)
    with pytest.raises(e.RevorAuthenticationError):
        run(batch(), pushed)
    assert [(row["job_id"], row["code"]) for row in pushed["jobs"]] == [
        ("job_1", None),
        (None, "not_sent"),
        (None, "not_sent"),
    ]


def test_a_revor_that_is_not_there_ends_the_try_after_some_time(ready, connect, pushed, pauses):
    connect(host="http://127.0.0.1:9")
    with pytest.raises(e.RevorConnectionError):
        run(batch(), pushed)
    assert pauses == [1, 2, 4, 8, 16]


def test_one_message_that_revor_cannot_take_does_not_hold_up_the_others(connect, requests_mock, pushed, pauses):
    connect()

    def post(request, answer):
        address = request.json()["recipient"]["address"]
        if address == "lead1@example.com":
            answer.status_code = 502
            return {}
        return resource({"id": f"job_{address}", "status": "queued"})

    requests_mock.post(f"{ROOT}/dispatches", json=post)
    for name in ("lead0@example.com", "lead2@example.com"):
        sent = resource({"id": f"job_{name}", "status": "succeeded"})
        requests_mock.get(f"{ROOT}/jobs/job_{quote(name)}", json=sent)
    with pytest.raises(e.RevorBatchError, match="1 http_502"):
        run(batch(wait_for_completion=False), pushed)
    posted = [one.json()["recipient"]["address"] for one in requests_mock.request_history if one.method == "POST"]
    assert statuses(pushed) == ["succeeded", "failed", "succeeded"]
    assert pushed["jobs"][1]["retry_may_help"] is True
    assert posted == [f"lead{number}@example.com" for number in (0, 1, 2, 1)]


# -- preview ---------------------------------------------------------------------------------------------


def test_a_preview_sends_nothing_and_tells_what_would_be_sent(ready, pushed, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_767_258_000.0)
    phone = {"account_id": "acc_whatsapp", "channel": "whatsapp", "recipient": {"phone": "+49 30 1"}}
    messages = [*(message(n) for n in range(3)), message(3, **phone), message(4, content={}), message(0)]
    operator = batch(
        messages=messages, preview=True, on_invalid="skip", min_channel_task_interval_seconds=90, poke_interval=60
    )
    seen = run(operator, pushed)
    assert seen == {
        "total": 6,
        "to_send": 4,
        "skipped": 2,
        "by_account": {"acc_email": 3, "acc_whatsapp": 1},
        "by_channel": {
            "email": {
                "to_send": 3,
                "first_expected_at": "2026-01-01T09:00:00+00:00",
                "last_expected_at": "2026-01-01T09:03:00+00:00",
            },
            "whatsapp": {
                "to_send": 1,
                "first_expected_at": "2026-01-01T09:00:00+00:00",
                "last_expected_at": "2026-01-01T09:00:00+00:00",
            },
        },
        "by_code": {"invalid_message": 1, "duplicate_person": 1},
        "references": {"invalid_message": ["crm-4"], "duplicate_person": ["crm-0"]},
    }
    assert (ready.request_count, pushed) == (0, {})


def test_a_preview_refuses_what_could_not_be_sent(ready, pushed):
    with pytest.raises(ValueError, match=r"messages\[0\]"):
        run(batch(messages=[message(0, content={})], preview=True), pushed)


# -- pacing ----------------------------------------------------------------------------------------------


def limited(requests_mock, headers, *first):
    """A Revor with a rate limit; its first answers are others."""
    numbers = iter(range(1000))
    accepted = {"json": lambda *_: resource({"id": f"job_{next(numbers)}", "status": "queued"}), "headers": headers}
    requests_mock.post(f"{ROOT}/dispatches", [*first, *[accepted] * 20])


def test_sending_keeps_to_the_rate_limit_that_responses_tell(connect, requests_mock, pushed, monkeypatch):
    connect()
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    limited(requests_mock, {"X-RateLimit-Remaining": "30", "X-RateLimit-Window-Ms": "60000"})
    with pytest.raises(TaskDeferred):
        run(batch(4), pushed)
    assert clock[0] == 1000 + 3 * 2


def test_rejected_messages_are_paced_too(connect, requests_mock, pushed, monkeypatch):
    connect()
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    headers = {"X-RateLimit-Remaining": "30", "X-RateLimit-Window-Ms": "60000"}
    requests_mock.post(f"{ROOT}/dispatches", status_code=404, json=refusal("account_not_found"), headers=headers)
    with pytest.raises(e.RevorBatchError, match="4 account_not_found"):
        run(batch(4), pushed)
    assert clock[0] == 1000 + 3 * 2


def test_retry_after_is_obeyed_and_no_burst_follows(connect, requests_mock, pushed, pauses):
    connect()
    rejected = {"status_code": 429, "json": refusal("api_rate_limit_exceeded"), "headers": {"Retry-After": "30"}}
    limited(requests_mock, {}, rejected)
    with pytest.raises(TaskDeferred):
        run(batch(4), pushed)
    assert pauses[0] == 30
    assert len(pauses) == 4
    assert all(pause > 0.5 for pause in pauses)


def test_a_retry_after_of_hours_is_left_to_airflow(connect, requests_mock, pushed, pauses):
    connect()
    rejected = {"status_code": 429, "json": refusal("api_rate_limit_exceeded"), "headers": {"Retry-After": "7200"}}
    limited(requests_mock, {}, rejected)
    with pytest.raises(e.RevorRateLimitError) as failed:
        run(batch(4), pushed)
    assert (failed.value.retry_after, pauses) == (7200, [])


# -- waiting and ending ----------------------------------------------------------------------------------


def deferred(operator, pushed, **kwargs):
    with pytest.raises(TaskDeferred) as found:
        run(operator, pushed, **kwargs)
    return found.value


def test_in_the_first_try_each_message_is_one_request_and_the_trigger_is_small(ready, pushed):
    _, kwargs = deferred(batch(20), pushed).trigger.serialize()
    assert [record.method for record in ready.requests] == ["POST"] * 20
    assert len(json.dumps(kwargs)) < 500
    assert json.loads(json.dumps(kwargs)) == kwargs


def test_the_batch_goes_on_with_what_the_trigger_found(ready, pushed):
    store, operator = Store(), batch()
    deferred(operator, pushed, store=store)
    ends = {0: End("succeeded"), 1: End("succeeded"), 2: End("failed", "no_mailbox")}
    event = {"status": "success", "ends": pack(ends)}
    with pytest.raises(e.RevorBatchFailedError, match=r"1 no_mailbox \(crm-2\)") as failed:
        operator.execute_complete(context(1, pushed, map_index=-1, store=store), event)
    assert isinstance(failed.value, AirflowFailException)
    assert statuses(pushed) == ["succeeded", "succeeded", "failed"]
    assert pushed["return_value"]["failed"] == 1

    # Cleared: only who was not reached is sent to, without a question about the others.
    ready.reset_requests()
    operator.messages[2]["content"]["text"] = "Corrected"
    assert run(operator, pushed, 2, store=store)["sent"] == 3
    assert [record.method for record in ready.requests] == ["POST", "GET"]
    assert statuses(pushed) == ["succeeded"] * 3


@pytest.mark.parametrize("gone", ["messages", "campaign"])
def test_what_was_sent_is_no_failure_though_what_it_was_rendered_from_was_cleared_meanwhile(ready, pushed, gone):
    operator, memory = batch(campaign="spring"), {"store": Store(), "assets": Assets()}
    deferred(operator, pushed, **memory)
    setattr(operator, gone, None)
    event = {"status": "success", "ends": pack(dict.fromkeys(range(3), End("succeeded")))}
    assert operator.execute_complete(context(1, pushed, map_index=-1, **memory), event)["sent"] == 3


def test_jobs_that_are_scheduled_for_later_than_it_waits_are_a_warning(ready, pushed, monkeypatch, caplog):
    monkeypatch.setattr(OutreachBatchOperator, "log", logging.getLogger("operator"))
    ready.script_jobs(scheduled_in=7200, times=None)
    deferred(batch(timeout=3 * 3600), pushed)
    assert "scheduled" not in caplog.text
    deferred(batch(timeout=3600), pushed)
    assert "The last job is scheduled 1 hour later than this try waits." in caplog.text


@pytest.mark.parametrize(
    ("event", "error"),
    [
        pytest.param({"status": "timeout"}, e.RevorJobTimeoutError, id="timeout"),
        pytest.param({"status": "execution_timeout"}, AirflowTaskTimeout, id="execution-timeout"),
        pytest.param(
            {"status": "error", "error": e.RevorAuthenticationError("no key").as_dict()},
            e.RevorAuthenticationError,
            id="error",
        ),
    ],
)
def test_a_wait_that_is_cut_short_leaves_what_is_known(ready, pushed, event, error):
    operator, store = batch(execution_timeout=timedelta(hours=1)), Store()
    deferred(operator, pushed, store=store)
    known = {"ends": pack({0: End("succeeded")}), **event}
    with pytest.raises(error):
        operator.execute_complete(context(1, pushed, map_index=-1, store=store), known)
    assert statuses(pushed) == ["succeeded", "queued", "queued"]
    assert (pushed["return_value"]["sent"], pushed["return_value"]["accepted"]) == (1, 2)
    # An automatic retry waits on, and asks nobody.
    ready.reset_requests()
    deferred(operator, pushed, try_number=2, store=store, max_tries=0)
    assert ready.request_count == 0
    assert statuses(pushed) == ["succeeded", "queued", "queued"]


@pytest.mark.parametrize("campaign", [None, "spring"])
def test_a_job_that_revor_did_not_find_has_failed_but_is_no_reason_to_send_again(ready, pushed, campaign):
    """As while the connection leads to another Revor: the message may have been sent."""
    operator, memory = batch(1, campaign=campaign), {"store": Store(), "assets": Assets()}
    deferred(operator, pushed, **memory)
    event = {"status": "success", "ends": pack({0: End("job_unknown", "external_api_job_not_found")})}
    with pytest.raises(e.RevorBatchFailedError, match=r"0 sent, 0 skipped, 1 failed. .* 1 external_api_job_not_found"):
        operator.execute_complete(context(1, pushed, map_index=-1, **memory), event)
    assert (statuses(pushed), pushed["jobs"][0]["job_id"]) == (["job_unknown"], ready.jobs[0]["id"])

    ready.advance(minutes=5)
    assert run(operator, pushed, 2, **memory)["sent"] == 1
    assert len(ready.jobs) == 1


def test_an_error_after_a_message_was_accepted_leads_to_no_second_one_in_the_same_try(ready, pushed, pauses):
    ready.script_jobs("failed", error={"code": "busy", "retryable": True}, times=None)
    ready.fail(503, times=3, method="GET")
    with pytest.raises(e.RevorBatchError, match="1 busy"):
        run(batch(1, wait_for_completion=False), pushed, 2, automatic=True)
    assert len(ready.jobs) == 1


@pytest.mark.parametrize("status", [403, 503])
def test_a_message_whose_job_could_not_be_asked_for_is_not_told_as_not_sent_when_the_try_ends(
    ready, pushed, pauses, status
):
    ready.fail(status, times=20, method="GET")
    with pytest.raises(e.RevorError):
        run(batch(2, wait_for_completion=False), pushed, 2, automatic=True)
    told = [(row["job_id"], row["status"]) for row in pushed["jobs"]]
    sent = [(job["id"], "job_unknown") for job in ready.jobs]
    assert told == sent + [(None, "failed")] * (2 - len(sent))


def test_a_job_that_revor_cannot_be_asked_for_is_told_with_its_id(ready, pushed, pauses):
    """The other message is looked at between the two errors."""
    operator = batch(2, wait_for_completion=False, max_failed=1)
    ask, first = RevorHook.get_outreach_job, []

    def fails_for_the_first(hook, job_id):
        first.append(job_id)
        if job_id == first[0]:
            ready.fail(503, method="GET")
        return ask(hook, job_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RevorHook, "get_outreach_job", fails_for_the_first)
        assert run(operator, pushed)["failed"] == 1
    row = pushed["jobs"][0]
    assert (row["job_id"], row["status"], row["code"]) == (ready.jobs[0]["id"], "job_unknown", "service_unavailable")
    assert statuses(pushed)[1] == "succeeded"


def test_arguments_that_cannot_be_used_fail_when_the_dag_is_parsed():
    for bad in (
        {"on_invalid": "ask"},
        {"max_failed": 1.5},
        {"max_requests_per_minute": 0},
        {"min_channel_task_interval_seconds": (360, 180)},
        {"messages": "leads.json"},
        {"messages": {"recipient": {}}},
        {"messages": (message(number) for number in range(3))},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            batch(**bad)


def test_a_try_that_sends_to_some_alone_says_so(ready, pushed, caplog, monkeypatch):
    monkeypatch.setattr(OutreachBatchOperator, "log", logging.getLogger("batch"))
    caplog.set_level(logging.INFO, "batch")
    store = Store()
    run(batch(2, wait_for_completion=False), pushed, store=store)
    assert "before this try" not in caplog.text
    run(batch(3, wait_for_completion=False), pushed, 2, store=store)
    assert "2 messages were sent before this try, and are not sent again." in caplog.messages
    assert len(ready.outbox) == 3


def test_without_xcoms_there_are_those_alone_that_the_trigger_works_from(ready, pushed):
    assert run(batch(1, do_xcom_push=False, wait_for_completion=False), pushed)["total"] == 1
    assert list(pushed) == ["jobs"]
