"""Outreach jobs: how they are scripted and finished, and what the outbox holds. Times are none or for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

A_DAY = 86_400
LIKE = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}


@pytest.fixture
def dispatch(post):
    def send(address="dana@example.com", **more):
        body = {
            "account_id": "acc_email",
            "channel": "email",
            "action": "outreach",
            "recipient": {"address": address},
            "content": {"subject": "Hello", "text": "Hello Dana"},
            **more,
        }
        return post("/dispatches", body).json()["item"]

    return send


@pytest.fixture
def like(post):
    return lambda: post("/linkedin/post-likes", LIKE).json()["item"]


def statuses(sandbox):
    return [job["status"] for job in sandbox.jobs]


# Scripts


def test_jobs_fail_as_told(ready, dispatch, read_job):
    error = {"code": "recipient_unreachable", "message": "No such mailbox.", "retryable": True}
    ready.script_jobs("failed", error=error)
    answer = read_job(dispatch()["id"])
    assert answer.status_code == 200
    job = answer.json()["item"]
    assert (job["status"], job["error"], job["result"], job["attempt_count"]) == ("failed", error, None, 1)
    assert job["started_at"]
    assert job["finished_at"]


def test_a_failure_has_an_error_of_the_sandboxs_own(ready, dispatch):
    ready.script_jobs("failed")
    dispatch()
    error = ready.jobs[0]["error"]
    assert error.keys() == {"code", "message", "retryable"}
    assert (error["code"], error["retryable"]) == ("sandbox_failure", False)


def test_jobs_are_cancelled_as_told(ready, dispatch):
    ready.script_jobs("cancelled")
    dispatch()
    assert (ready.jobs[0]["status"], ready.jobs[0]["error"], ready.jobs[0]["result"]) == ("cancelled", None, None)


def test_a_job_runs_until_its_time(ready, dispatch):
    ready.script_jobs("failed", after=A_DAY)
    assert dispatch()["status"] == "queued"
    job = ready.jobs[0]
    assert (job["status"], job["finished_at"], job["result"], job["error"]) == ("running", None, None, None)
    assert job["started_at"] == job["scheduled_at"]
    assert job["attempt_count"] == 1


def test_a_job_is_scheduled_until_its_time(ready, dispatch):
    ready.script_jobs(scheduled_in=A_DAY)
    item = dispatch()
    assert item["status"] == "scheduled"
    assert datetime.fromisoformat(item["scheduled_at"]) > datetime.now(UTC) + timedelta(hours=23)
    job = ready.jobs[0]
    assert (job["status"], job["started_at"], job["attempt_count"]) == ("scheduled", None, 0)
    assert job["next_attempt_at"] == job["scheduled_at"] == item["scheduled_at"]


def test_time_passes(ready, dispatch):
    ready.script_jobs(after=0.01, scheduled_in=0.01)
    dispatch()
    seen = [ready.jobs[0]["status"]]
    while seen[-1] != "succeeded":
        seen.append(ready.jobs[0]["status"])
    order = ["scheduled", "running", "succeeded"]
    assert [order.index(status) for status in seen] == sorted(order.index(status) for status in seen)
    job = ready.jobs[0]
    assert job["scheduled_at"] == job["started_at"] < job["finished_at"]


@pytest.mark.parametrize("status", ["queued", "scheduled", "running", "settling"])
def test_a_status_that_is_no_end(ready, dispatch, status):
    ready.script_jobs(status)
    job_id = dispatch()["id"]
    job = ready.jobs[0]
    assert (job["status"], job["finished_at"], job["result"], job["error"]) == (status, None, None, None)
    assert (job["started_at"] is None) == (status in {"queued", "scheduled"})
    assert ready.finish_job(job_id)["status"] == "succeeded"


def test_a_post_like_is_skipped_and_dispatches_pass_that_by(ready, dispatch, like):
    ready.script_jobs("skipped")
    dispatch()
    like()
    like()
    assert statuses(ready) == ["succeeded"] * 3
    assert [job["result"]["status"] for job in ready.jobs] == ["sent", "skipped", "liked"]
    assert [entry.job_id for entry in ready.outbox] == [ready.jobs[0]["id"], ready.jobs[2]["id"]]


def test_scripts_are_used_up_in_order(ready, dispatch):
    ready.script_jobs("failed", times=2)
    ready.script_jobs("cancelled")
    for _ in range(4):
        dispatch()
    assert statuses(ready) == ["failed", "failed", "cancelled", "succeeded"]


def test_scripts_for_all_from_now_on(ready, dispatch):
    dispatch()
    ready.script_jobs("failed", times=None)
    dispatch()
    ready.script_jobs("cancelled")
    dispatch()
    dispatch()
    ready.script_jobs(times=None)
    dispatch()
    assert statuses(ready) == ["succeeded", "failed", "cancelled", "failed", "succeeded"]


def test_scripts_for_a_recipient(ready, post, dispatch, like):
    ready.script_jobs("failed", recipient="ben@example.com")
    ready.script_jobs("cancelled", recipient=LIKE["profile_url"], times=None)
    ready.script_jobs("failed", recipient="+1 202 555 0123")
    dispatch("anna@example.com")
    dispatch("ben@example.com")
    dispatch("ben@example.com")
    like()
    like()
    post(
        "/dispatches",
        {
            "account_id": "acc_whatsapp",
            "channel": "whatsapp",
            "action": "outreach",
            "recipient": {"phone": "+1 202 555 0123"},
            "content": {"text": "Hello"},
        },
    )
    assert statuses(ready) == ["succeeded", "failed", "succeeded", "cancelled", "cancelled", "failed"]


def test_what_makes_no_job_uses_no_script_up(ready, dispatch, post):
    ready.script_jobs("failed")
    assert post("/linkedin/post-likes", {}).status_code == 400
    assert post("/linkedin/post-likes", {**LIKE, "account_id": "acc_no"}).status_code == 404
    for _ in range(2):
        post("/linkedin/post-likes", LIKE, key="k1")
    dispatch()
    assert statuses(ready) == ["failed", "succeeded"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": ""},
        {"status": "faild"},
        {"status": "failed", "error": {"retriable": True}},
        {"after": -1},
        {"after": 1e9},
        {"scheduled_in": -1},
        {"scheduled_in": None},
        {"times": 0},
        {"error": {"code": "x"}},
        {"status": "failed", "error": "x"},
    ],
)
def test_scripts_that_can_not_be(ready, control, dispatch, wrong):
    with pytest.raises(ValueError, match="validation error"):
        ready.script_jobs(**wrong)
    assert control("POST", "/jobs/script", wrong).status_code == 422
    dispatch()
    assert statuses(ready) == ["succeeded"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        pytest.param({"status": "faild"}, "status", id="misspelt-status"),
        pytest.param({"status": "failed", "error": {"retriable": True}}, "error.retriable", id="misspelt-field"),
    ],
)
def test_a_wrong_script_is_named(ready, control, wrong, named):
    with pytest.raises(ValueError, match=f"\n{named}\n"):
        ready.script_jobs(**wrong)
    (problem,) = control("POST", "/jobs/script", wrong).json()["detail"]
    assert problem["loc"] == ["body", *named.split(".")]


# The end


def test_a_held_job_waits_to_be_finished(ready, dispatch):
    ready.script_jobs(after=None, times=2)
    first, second = dispatch()["id"], dispatch()["id"]
    assert statuses(ready) == ["running", "running"]
    done = ready.finish_job(first)
    assert (done["status"], done["result"]["status"]) == ("succeeded", "sent")
    assert done["started_at"] <= done["finished_at"]
    failed = ready.finish_job(second, "failed", error={"code": "bounced", "message": "It came back."})
    assert failed["error"] == {"code": "bounced", "message": "It came back.", "retryable": False}
    assert ready.jobs == [done, failed]


def test_a_scheduled_job_is_finished(ready, dispatch):
    ready.script_jobs(scheduled_in=A_DAY, times=2)
    cancelled = ready.finish_job(dispatch()["id"], "cancelled")
    assert (cancelled["status"], cancelled["started_at"], cancelled["attempt_count"]) == ("cancelled", None, 0)
    assert cancelled["finished_at"]
    assert cancelled["next_attempt_at"] is None
    succeeded = ready.finish_job(dispatch()["id"])
    assert succeeded["started_at"] == succeeded["finished_at"] < succeeded["scheduled_at"]


def test_what_can_not_be_finished(ready, dispatch):
    with pytest.raises(KeyError, match="job_no"):
        ready.finish_job("job_no")
    with pytest.raises(ValueError, match="has ended already"):
        ready.finish_job(dispatch()["id"])
    ready.script_jobs(after=None)
    job_id = dispatch()["id"]
    with pytest.raises(ValueError, match="only a post-like"):
        ready.finish_job(job_id, "skipped")
    with pytest.raises(ValueError, match="validation error"):
        ready.finish_job(job_id, "running")
    with pytest.raises(ValueError, match="validation error"):
        ready.finish_job(job_id, error={"code": "x"})
    assert statuses(ready) == ["succeeded", "running"]


# The outbox


def test_an_entry_has_all_of_a_dispatch(ready, post):
    body = {
        "account_id": "acc_email",
        "channel": "email",
        "action": "outreach",
        "recipient": {"address": "dana@example.com", "name": "Dana"},
        "content": {"subject": "Hello", "html": "<p>Hello"},
        "metadata": {"campaign": {"name": "spring"}},
        "min_channel_task_interval_seconds": 240,
    }
    before = datetime.now(UTC)
    job_id = post("/dispatches", body, key="k1").json()["item"]["id"]
    (entry,) = ready.outbox
    assert before <= entry.created_at <= datetime.now(UTC)
    assert entry.model_dump(exclude={"created_at"}) == {
        "job_id": job_id,
        "action": "outreach.dispatch",
        "account_id": "acc_email",
        "channel": "email",
        "recipient": body["recipient"],
        "content": body["content"],
        "metadata": body["metadata"],
        "idempotency_key": "k1",
        "status": "succeeded",
        "min_channel_task_interval_seconds": 240,
        "body": body,
    }


def test_an_entry_has_all_of_a_post_like(ready, post):
    body = {**LIKE, "intent": "congratulate", "post_limit": 5}
    post("/linkedin/post-likes", body)
    (entry,) = ready.outbox
    assert (entry.action, entry.account_id, entry.channel) == (
        "outreach.linkedin.post_like",
        "acc_linkedin",
        "linkedin",
    )
    assert entry.recipient == {"profile_url": LIKE["profile_url"]}
    assert entry.content == {"topic": "hiking", "intent": "congratulate"}
    assert (entry.metadata, entry.idempotency_key, entry.min_channel_task_interval_seconds) == ({}, None, 60)
    assert entry.body == body


def test_the_outbox_has_what_was_sent_or_will_be(ready, dispatch, like):
    for status in ("succeeded", "failed", "cancelled", "queued", "skipped"):
        ready.script_jobs(status)
    ready.script_jobs(after=None, times=3)
    for number in range(4):
        dispatch(f"{number}@example.com")
    like()
    running = [dispatch("held@example.com")["id"] for _ in range(2)]
    running.append(like()["id"])
    assert [entry.status for entry in ready.outbox] == ["succeeded", "queued", "running", "running", "running"]
    ready.finish_job(running[0], "failed")
    ready.finish_job(running[1])
    ready.finish_job(running[2], "skipped")
    assert [(entry.status, entry.recipient["address"]) for entry in ready.outbox] == [
        ("succeeded", "0@example.com"),
        ("queued", "3@example.com"),
        ("succeeded", "held@example.com"),
    ]


def test_entries_are_copies(ready, dispatch):
    dispatch()
    ready.outbox[0].body["content"]["text"] = "something else"
    assert ready.outbox[0].body["content"]["text"] == "Hello Dana"


def test_reset_forgets_all_of_outreach(ready, post, read_job):
    ready.script_jobs("failed", times=9)
    ready.script_jobs("failed", times=None)
    job_id = post("/linkedin/post-likes", LIKE, key="k1").json()["item"]["id"]
    ready.reset_jobs()
    assert (ready.jobs, ready.outbox) == ([], [])
    assert read_job(job_id).status_code == 404
    assert post("/linkedin/post-likes", {**LIKE, "post_limit": 3}, key="k1").status_code == 202
    assert statuses(ready) == ["succeeded"]


# The control API


def test_control(ready, control, dispatch):
    assert control("POST", "/jobs/script", {"after": None}).status_code == 204
    assert control("POST", "/jobs/script", {"status": "failed", "error": {"code": "bounced"}}).status_code == 204
    held = dispatch()["id"]
    dispatch()
    assert control("GET", "/jobs").json() == {"items": ready.jobs}
    assert statuses(ready) == ["running", "failed"]
    assert control("GET", "/outbox").json() == {"items": [ready.outbox[0].model_dump(mode="json")]}
    answer = control("POST", f"/jobs/{held}/finish", {"status": "cancelled"})
    assert (answer.status_code, answer.json()) == (200, ready.jobs[0])
    assert ready.jobs[0]["status"] == "cancelled"
    assert control("GET", "/outbox").json() == {"items": []}
    assert ready.request_count == 2
    assert control("DELETE", "/jobs").status_code == 204
    assert control("GET", "/jobs").json() == {"items": []}


def test_control_says_what_can_not_be_finished(ready, control, dispatch):
    answer = control("POST", "/jobs/job_no/finish", {})
    assert answer.status_code == 404
    assert "job_no" in answer.json()["detail"]
    answer = control("POST", f"/jobs/{dispatch()['id']}/finish", {})
    assert answer.status_code == 409
    assert "has ended already" in answer.json()["detail"]
    assert control("POST", "/jobs/job_no/finish", {"status": "running"}).status_code == 422
