"""Outreach by the hook: over a real socket, whatever happens on the way, one message."""

from __future__ import annotations

import asyncio

import pytest
from factories import job, refusal, resource

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook

EMAIL = ("acc_email", "email", {"address": "dana@example.com"}, {"subject": "Hello", "text": "Grüße"})
PROFILE = "https://www.linkedin.com/in/dana"
ROOT = "https://revor.ai/api/v1/outreach"


@pytest.fixture
def ready(revor_sandbox, connect, monkeypatch):
    """A sandbox with a usable account of each channel, and a connection that does not wait for long."""
    # Full jitter: what has no hint would wait up to a second.
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key, extra={"timeout": 5})
    channels = ("email", "linkedin", "whatsapp")
    revor_sandbox.set_accounts([{"account_id": f"acc_{channel}", "channel": channel} for channel in channels])
    return revor_sandbox


def dispatch(hook, key="k-1"):
    return hook.create_outreach_dispatch(*EMAIL, idempotency_key=key)


def like(hook, key="k-1"):
    return hook.create_linkedin_post_like(PROFILE, topic="hiking", idempotency_key=key)


def ask_sync(job_id):
    with RevorHook(max_retries=0) as hook:
        return hook.get_outreach_job(job_id)


def ask_async(job_id):
    async def ask():
        async with RevorHook(max_retries=0) as hook:
            return await hook.aget_outreach_job(job_id)

    return asyncio.run(ask())


writes = pytest.mark.parametrize("send", [dispatch, like])
both = pytest.mark.parametrize("ask", [ask_sync, ask_async])


@writes
@both
def test_what_is_sent_becomes_a_job(ready, send, ask):
    with RevorHook() as hook:
        made = send(hook)
    assert (made.status, made.ended) == ("queued", False)
    assert ask(made.id).as_dict() == ready.jobs[0]
    assert ask(made.id).status == "succeeded"
    assert ready.outbox[0].idempotency_key == "k-1"


def test_all_of_a_dispatch_arrives(ready):
    kwargs = {"metadata": {"campaign": 7}, "min_channel_task_interval_seconds": 240, "idempotency_key": "k-1"}
    with RevorHook() as hook:
        hook.create_outreach_dispatch(*EMAIL, **kwargs)
    sent = ready.outbox[0]
    assert (sent.account_id, sent.channel, sent.recipient, sent.content) == EMAIL
    assert (sent.metadata, sent.min_channel_task_interval_seconds) == ({"campaign": 7}, 240)


# What happens to the write before it is answered.
FAULTS = {
    "429": lambda s: s.fail(429, retry_after="0.01", method="POST"),
    "503": lambda s: s.fail(503, retry_after="0.01", times=2, method="POST"),
    "a gateway": lambda s: s.answer(504, "<html>", {"Retry-After": "0.01"}, method="POST"),
    "dropped": lambda s: s.drop(method="POST"),
    "the answer is lost": lambda s: s.lose_answer(times=2, method="POST"),
    "the answer is cut": lambda s: s.truncate(method="POST"),
    "accepted, but too late for the client": lambda s: s.slow(30, after_acting=True, method="POST"),
}


@writes
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_the_way_makes_one_message(ready, send, fault):
    FAULTS[fault](ready)
    with RevorHook() as hook:
        made = send(hook)
    assert [one["id"] for one in ready.jobs] == [made.id]
    assert ready.request_count > 1
    assert {record.idempotency_key for record in ready.requests} == {"k-1"}


@writes
def test_what_was_accepted_while_the_client_gave_up_is_found_by_its_key(ready, send):
    ready.slow(30, after_acting=True, method="POST")
    with RevorHook(max_retries=0) as hook, pytest.raises(e.RevorConnectionError, match="timed out"):
        send(hook)
    with RevorHook() as hook:
        assert [send(hook).id, send(hook).id] == [ready.jobs[0]["id"]] * 2
    assert len(ready.outbox) == 1


def test_other_content_under_a_key_is_a_conflict_that_is_explained(ready):
    with RevorHook() as hook:
        dispatch(hook)
        with pytest.raises(e.RevorIdempotencyConflictError, match="nothing was sent now") as caught:
            hook.create_outreach_dispatch(*EMAIL[:3], {"subject": "Hello", "text": "Other"}, idempotency_key="k-1")
    assert (caught.value.status_code, caught.value.code) == (409, "idempotency_conflict")
    assert len(ready.outbox) == 1


@pytest.mark.parametrize(
    ("send", "words"),
    [
        (lambda hook: hook.create_outreach_dispatch("a", "email", {}, {}, idempotency_key="k"), r"recipient\.address"),
        (lambda hook: dispatch(hook, "two words"), "printable ASCII"),
        (lambda hook: dispatch(hook, None), "idempotency_key is None"),
        (lambda hook: dispatch(hook, "None"), "idempotency_key is 'None'"),
        (lambda hook: hook.create_linkedin_post_like("p", topic="t", idempotency_key=None), "idempotency_key is None"),
        (lambda hook: hook.create_linkedin_post_like("", idempotency_key="k"), "profile_url"),
        (lambda hook: hook.get_outreach_job(""), "must name an outreach job"),
        (lambda hook: asyncio.run(hook.aget_outreach_job("..")), "must name an outreach job"),
    ],
)
def test_a_bad_argument_is_a_value_error_before_any_request(ready, send, words):
    with RevorHook() as hook, pytest.raises(ValueError, match=words):
        send(hook)
    assert ready.request_count == 0


@both
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (lambda s: None, e.RevorNotFoundError),
        (lambda s: s.revoke_key(), e.RevorAuthenticationError),
        (lambda s: s.fail(429, retry_after=3600), e.RevorRateLimitError),
        (lambda s: s.fail(503), e.RevorServerError),
        (lambda s: s.drop(), e.RevorConnectionError),
        (lambda s: s.answer(200, resource({"id": "job_1"})), e.RevorResponseError),
        (lambda s: s.answer(200, {"ok": True, "items": []}), e.RevorResponseError),
    ],
)
def test_sync_and_async_come_to_the_same_end(ready, ask, script, error):
    script(ready)
    with pytest.raises(error) as caught:
        ask("job_1")
    assert type(caught.value) is error
    assert "GET /api/v1/outreach/jobs/job_1" in str(caught.value)


@both
def test_a_job_that_failed_is_no_error_to_the_hook(ready, ask):
    ready.script_jobs("failed", error={"code": "mailbox_full", "message": "Full.", "retryable": True})
    with RevorHook() as hook:
        made = dispatch(hook)
    failed = ask(made.id)
    assert (failed.failed, failed.error["code"], failed.error["retryable"]) == (True, "mailbox_full", True)


def test_an_id_cannot_leave_its_place_in_the_path(connect, requests_mock):
    connect()
    name = "a/connect/accounts?x"
    requests_mock.get(f"{ROOT}/jobs/a%2Fconnect%2Faccounts%3Fx", json=resource(job(id=name)))
    assert RevorHook().get_outreach_job(name) == OutreachJob(**job(id=name))


@pytest.mark.parametrize("job_id", ["../../connect/accounts", "..%2F..%2Fconnect", r"..\..\connect"])
def test_an_id_that_a_server_could_take_for_a_way_out_is_refused(connect, requests_mock, job_id):
    connect()
    with pytest.raises(ValueError, match="lead out"):
        RevorHook().get_outreach_job(job_id)
    assert requests_mock.call_count == 0


def test_a_refusal_tells_nothing_of_the_message(connect, requests_mock):
    connect()
    requests_mock.post(f"{ROOT}/dispatches", status_code=400, json=refusal("invalid_request"))
    with pytest.raises(e.RevorRequestError) as caught:
        dispatch(RevorHook())
    assert "dana@example.com" not in str(caught.value)
    assert "Grüße" not in str(caught.value)
