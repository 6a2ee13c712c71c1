from __future__ import annotations

import asyncio
import logging
import time
from types import SimpleNamespace

import pytest
from factories import job
from triggers.waits import JOB, Polls, events, payload

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.tasks.progress import WaitLog
from airflow_provider_revor.triggers.outreach import OutreachJobTrigger

RUNNING, DONE = JOB.goes_on, JOB.ends
FAILED = job(status="failed", result=None, error={"code": "mailbox_full", "message": "Full.", "retryable": True})
LIMITED = e.RevorRateLimitError("limited", status_code=429, retry_after=300.0)


@pytest.fixture
def looks(monkeypatch):
    return Polls(monkeypatch, JOB)


waiting = JOB.wait
PAUSING = "It looks again in about 40 seconds."


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


def test_it_logs_once_per_change_and_nothing_of_the_result(looks, caplog, monkeypatch):
    later = job(status="scheduled", scheduled_at="2026-01-01T09:00:00Z")
    looks.answers = [later, later, RUNNING, RUNNING, LIMITED, LIMITED, DONE]
    monkeypatch.setattr(OutreachJobTrigger, "log", logging.getLogger("trigger"))
    monkeypatch.setattr("random.random", lambda: 0.0)
    with caplog.at_level(logging.INFO):
        (event,) = events(waiting())
    assert [record.getMessage() for record in caplog.records if record.name == "trigger"] == [
        "Waiting. Outreach job job_1 is scheduled for 2026-01-01T09:00:00Z.",
        PAUSING,
        "Waiting. Outreach job job_1 is running.",
        PAUSING,
        "Could not learn how outreach job job_1 stands, waiting on: RevorRateLimitError: limited",
        PAUSING.replace("40 seconds", "5 minutes"),
        "Outreach job job_1 has succeeded.",
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
    assert [r.getMessage() for r in caplog.records if r.name == "trigger"] == ["Outreach job job_1 has succeeded."]


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
