from __future__ import annotations

import asyncio
import json
import logging
import time
from types import SimpleNamespace

import pytest
from factories import job

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.progress import WaitLog
from airflow_provider_revor.triggers.outreach import OutreachJobTrigger

RUNNING, DONE = job(status="running", result=None), job()
FAILED = job(status="failed", result=None, error={"code": "mailbox_full", "message": "Full.", "retryable": True})
LIMITED = e.RevorRateLimitError("limited", status_code=429, retry_after=300.0)


@pytest.fixture
def looks(monkeypatch):
    """What the looks get, one after the other; the last one for ever. It counts them and the naps between."""

    looks = SimpleNamespace(answers=[RUNNING], count=0, naps=[])

    async def get_job(hook, job_id):
        assert (hook.max_retries, job_id) == (0, "job_1")
        answer = looks.answers[min(looks.count, len(looks.answers) - 1)]
        looks.count += 1
        if isinstance(answer, Exception):
            raise answer
        return OutreachJob(**answer)

    sleep = asyncio.sleep

    async def nap(seconds):
        looks.naps.append(seconds)
        await sleep(0)

    monkeypatch.setattr(RevorHook, "aget_outreach_job", get_job)
    monkeypatch.setattr("airflow_provider_revor.triggers.polling.asyncio.sleep", nap)
    return looks


def waiting(**kwargs):
    return OutreachJobTrigger(job_id="job_1", **{"poke_interval": 40, **kwargs})


def events(trigger):
    async def run():
        return [event async for event in trigger.run()]

    return asyncio.run(run())


def payload(trigger):
    (event,) = events(trigger)
    assert json.loads(json.dumps(event.payload)) == event.payload
    assert event.payload.pop("job_id") == "job_1"
    return event.payload


def test_it_can_be_made_again_from_plain_json_without_secrets(connect):
    connect()
    trigger = waiting(poke_interval=5.0, first_poll_at=1.5, deadline=9.5, silent_fail=True, last_logged="x")
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_revor.triggers.outreach.OutreachJobTrigger"
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert OutreachJobTrigger(**kwargs).serialize() == (path, kwargs)
    assert "canary" not in repr(trigger)


def test_what_an_earlier_version_left_in_the_database_is_understood():
    assert OutreachJobTrigger(job_id="job_1").serialize()[1]["deadline"] is None


def test_it_fires_once_the_job_has_ended(looks):
    looks.answers = [job(status="queued"), RUNNING, job(status="settling"), DONE]
    assert payload(waiting()) == {"status": "success", "job": DONE}
    assert looks.count == 4


@pytest.mark.parametrize("ended", [FAILED, job(status="cancelled", result=None)])
def test_a_job_that_failed_is_handed_on(looks, ended):
    looks.answers = [RUNNING, ended]
    assert payload(waiting()) == {"status": "failed", "job": ended}


def test_it_sleeps_before_every_look_never_less_than_asked_and_not_in_step(looks):
    looks.answers = [RUNNING] * 50 + [DONE]
    payload(waiting())
    assert len(looks.naps) == looks.count == 51
    assert looks.naps[0] == 0
    assert all(40 <= nap <= 50 for nap in looks.naps[1:])
    assert len(set(looks.naps)) > 25


@pytest.mark.parametrize(
    "fault",
    [e.RevorRateLimitError("x"), e.RevorServerError("x"), e.RevorConnectionError("x"), e.RevorResponseError("x")],
)
def test_what_heals_is_waited_out(looks, fault):
    looks.answers = [fault, fault, DONE]
    assert payload(waiting())["status"] == "success"
    assert looks.count == 3


def test_the_next_look_is_not_before_retry_after(looks):
    looks.answers = [LIMITED, e.RevorServerError("x", retry_after=10.0**11), DONE]
    payload(waiting())
    assert looks.naps[1] >= 300
    assert 86_400 <= looks.naps[2] < 100_000


def test_a_scheduled_job_is_looked_at_once_an_hour_and_at_its_time(looks, monkeypatch):
    clock = SimpleNamespace(now=1_767_258_000.0)  # 2026-01-01T09:00:00Z
    monkeypatch.setattr(time, "time", lambda: clock.now + sum(looks.naps))
    later = job(status="scheduled", scheduled_at="2026-01-01T11:30:00Z")
    looks.answers = [later, later, later, RUNNING, DONE]
    payload(waiting())
    assert all(3600 <= nap <= 3610 for nap in looks.naps[1:3])
    assert 9000 <= sum(looks.naps[:4]) <= 9030
    assert looks.naps[4] <= 50


def test_a_job_that_is_cancelled_long_before_its_time_is_noticed_within_the_hour(looks):
    later = job(status="scheduled", scheduled_at="2999-01-01T00:00:00Z")
    looks.answers = [later, {**later, "status": "cancelled"}]
    assert payload(waiting())["status"] == "failed"
    assert looks.naps[1] <= 3610


def test_the_first_look_waits_as_long_as_the_worker_says(looks):
    looks.answers = [DONE]
    payload(waiting(first_poll_at=time.time() + 1_000))
    assert looks.naps[0] > 990


@pytest.mark.parametrize(
    "fault",
    [e.RevorAuthenticationError("x"), e.RevorPermissionError("x"), e.RevorNotFoundError("x"), e.RevorValueError("x")],
)
def test_what_does_not_heal_ends_the_wait_with_its_own_class(looks, fault):
    looks.answers = [RUNNING, fault]
    ended = payload(waiting())
    assert ended["status"] == "error"
    assert type(e.error_from_dict(ended["error"])) is type(fault)


def test_a_task_is_not_resumed_before_the_scheduler_knows_that_its_worker_deferred_it(looks):
    looks.answers = [DONE]
    soon = time.time() + 1
    for first_poll_at, trigger_id, held in [(soon, 7, True), (soon, None, False), (None, 7, False)]:
        looks.naps.clear()
        trigger = waiting(first_poll_at=first_poll_at)
        trigger.trigger_id = trigger_id
        assert payload(trigger)["status"] == "success"
        assert any(nap > 9 for nap in looks.naps) is held


def test_a_connection_that_is_not_found_is_borne_for_five_minutes(looks, monkeypatch):
    clock = SimpleNamespace(now=1_000_000.0)
    monkeypatch.setattr(time, "time", lambda: clock.now + sum(looks.naps))
    missing = e.RevorMissingConnectionError("x")
    looks.answers = [RUNNING, *4 * [missing], RUNNING, *4 * [missing], DONE]
    assert payload(waiting(poke_interval=60))["status"] == "success"
    looks.answers, looks.count = [RUNNING, missing], 0
    assert payload(waiting(poke_interval=60))["error"]["error"] == "RevorMissingConnectionError"
    assert 5 <= looks.count <= 7


def test_an_unusable_connection_is_the_end(connect):
    connect(password="")
    assert payload(waiting())["error"]["error"] == "RevorConfigurationError"


@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), TimeoutError("bug")])
def test_what_nobody_foresaw_fails_the_trigger_instead_of_looping(looks, bug):
    looks.answers = [bug]
    with pytest.raises(RuntimeError, match=f"A poll failed unexpectedly: {type(bug).__name__}: bug"):
        events(waiting(deadline=time.time() + 600))


def test_silent_fail_waits_out_what_it_would_when_poking(looks):
    looks.answers = [e.RevorNotFoundError("x"), ZeroDivisionError("x"), DONE]
    assert payload(waiting(silent_fail=True))["status"] == "success"
    looks.answers, looks.count = [e.RevorAuthenticationError("x"), DONE], 0
    assert payload(waiting(silent_fail=True))["status"] == "error"


def test_the_deadline_ends_the_wait_even_between_looks():
    now = time.time()
    far = {"poke_interval": 3600, "first_poll_at": now + 3600}
    assert payload(waiting(**far, deadline=now + 0.05)) == {"status": "timeout"}
    assert payload(waiting(**far, deadline=now - 5)) == {"status": "timeout"}
    assert payload(waiting(**far, deadline=now, deadline_status="execution_timeout")) == {"status": "execution_timeout"}


def test_an_interval_of_0_still_pauses(looks):
    looks.answers = [RUNNING] * 5 + [DONE]
    payload(waiting(poke_interval=0))
    assert all(nap >= 0.1 for nap in looks.naps[1:])


def test_it_logs_once_per_change_and_nothing_of_the_result(looks, caplog, monkeypatch):
    later = job(status="scheduled", scheduled_at="2026-01-01T09:00:00Z")
    looks.answers = [later, later, RUNNING, RUNNING, LIMITED, LIMITED, DONE]
    monkeypatch.setattr(OutreachJobTrigger, "log", logging.getLogger("trigger"))
    with caplog.at_level(logging.INFO):
        (event,) = events(waiting())
    assert [record.getMessage() for record in caplog.records if record.name == "trigger"] == [
        "Waiting. Outreach job job_1 is scheduled for 2026-01-01T09:00:00Z.",
        "Waiting. Outreach job job_1 is running.",
        "Could not learn how outreach job job_1 stands, waiting on: RevorRateLimitError: limited",
        "Outreach job job_1 is succeeded.",
    ]
    # This is what the triggerer itself logs at INFO.
    assert "msg_1" not in f"{caplog.text}{event} {event!r}"


def test_it_does_not_tell_what_the_worker_told(looks, caplog, monkeypatch):
    monkeypatch.setattr(OutreachJobTrigger, "log", logging.getLogger("trigger"))
    looks.answers = [RUNNING, DONE]
    worker = WaitLog(logging.getLogger("worker"), "how outreach job job_1 stands")
    worker.waiting(OutreachJob(**RUNNING).standing)
    with caplog.at_level(logging.INFO, "trigger"):
        payload(waiting(last_logged=worker.last_logged))
    assert [r.getMessage() for r in caplog.records if r.name == "trigger"] == ["Outreach job job_1 is succeeded."]


def test_killing_the_task_leaves_the_job_as_it_is_and_says_so(looks, caplog, monkeypatch):
    monkeypatch.setattr(OutreachJobTrigger, "log", logging.getLogger("trigger"))
    asyncio.run(waiting().on_kill())
    assert "job_1 goes on in Revor" in caplog.text
    assert looks.count == 0


def test_it_only_reads(revor_sandbox, monkeypatch):
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
    revor_sandbox.script_jobs(after=None)
    with RevorHook() as hook:
        made = hook.create_outreach_dispatch(
            "acc_1", "email", {"address": "dana@example.com"}, {"subject": "s", "text": "t"}, idempotency_key="k"
        )
    revor_sandbox.reset_requests()

    async def run():
        wait = asyncio.create_task(anext(aiter(OutreachJobTrigger(job_id=made.id, poke_interval=0.1).run())))
        while revor_sandbox.request_count < 2:
            await asyncio.sleep(0.01)
        revor_sandbox.finish_job(made.id)
        return await wait

    assert asyncio.run(run()).payload == {"status": "success", "job_id": made.id, "job": revor_sandbox.jobs[0]}
    assert {record.method for record in revor_sandbox.requests} == {"GET"}
    assert len(revor_sandbox.outbox) == 1
