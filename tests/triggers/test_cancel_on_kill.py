"""A person ends a deferred task: its trigger cancels the jobs. A triggerer that stops or hands over cancels nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from types import SimpleNamespace

import pytest

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.api.limits import RateLimit
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.rules.kills import Place
from airflow_provider_revor.triggers import cancelling
from airflow_provider_revor.triggers.batch import OutreachBatchTrigger
from airflow_provider_revor.triggers.cancelling import Cancelling
from airflow_provider_revor.triggers.outreach import OutreachJobTrigger
from airflow_provider_revor.triggers.xcoms import TaskXComs

LOG = logging.getLogger("trigger")
TASK = TaskXComs("d", "r", "t")
CLEARED_OR_FAILED = [None, "scheduled", "queued", "failed"]
ANYTHING_ELSE = ["deferred", "running", "success", "skipped", "up_for_retry", RuntimeError("the supervisor is gone")]


@pytest.fixture(autouse=True)
def log(monkeypatch):
    for trigger in (OutreachJobTrigger, OutreachBatchTrigger):
        monkeypatch.setattr(trigger, "log", LOG)


@pytest.fixture
def airflow(monkeypatch):
    """Airflow, as far as it tells in which state the task is."""
    airflow = SimpleNamespace(state="deferred", looks=0)

    def task_state(**ids):
        assert ids == TASK.as_dict()
        airflow.looks += 1
        if isinstance(airflow.state, Exception):
            raise airflow.state
        return airflow.state

    monkeypatch.setattr(cancelling, "task_state", task_state)
    return airflow


@pytest.fixture
def revor(revor_sandbox, connect):
    """A Revor with three jobs that begin in an hour."""
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
    revor_sandbox.script_jobs(scheduled_in=3_600, times=None)
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key, extra={"api_version": "v2"})
    content = {"subject": "Hello", "text": "Hello"}
    with RevorHook() as hook:
        for number in range(3):
            to = {"address": f"person{number}@example.com"}
            hook.create_outreach_dispatch("acc_1", "email", to, content, idempotency_key=f"k{number}")
    return revor_sandbox


@pytest.fixture
def trigger(revor, monkeypatch):
    """Return a function that makes the trigger of one job, or of all three."""

    def make(kind, **kwargs):
        common = {"cancel_on_kill": True, "poke_interval": 60.0, **kwargs}
        if kind == "one":
            trigger = OutreachJobTrigger(job_id=revor.jobs[0]["id"], **common)
        else:
            rows = [{"job_id": job["id"], "status": "scheduled"} for job in revor.jobs]
            values = {"jobs": rows}
            monkeypatch.setattr(TaskXComs, "get", lambda self, key: values.get(key))
            trigger = OutreachBatchTrigger(instance=TASK.as_dict(), wait="1", **common)
        trigger.task_instance = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
        return trigger

    return make


def cancelled(revor):
    return [job["status"] for job in revor.jobs].count("cancelled")


kinds = pytest.mark.parametrize(("kind", "jobs"), [("one", 1), ("batch", 3)])


@kinds
@pytest.mark.parametrize("state", CLEARED_OR_FAILED)
def test_a_person_who_ends_a_deferred_task_cancels_its_jobs(revor, trigger, airflow, kind, jobs, state):
    airflow.state = state
    asyncio.run(trigger(kind).on_kill())
    assert cancelled(revor) == jobs


@kinds
@pytest.mark.parametrize("state", ANYTHING_ELSE, ids=str)
def test_nothing_else_cancels_a_job(revor, trigger, airflow, kind, jobs, state):
    airflow.state = state
    asyncio.run(trigger(kind).on_kill())
    assert (cancelled(revor), airflow.looks) == (0, 1)


@kinds
def test_after_the_deadline_the_task_has_ended_by_itself(revor, trigger, airflow, kind, jobs):
    airflow.state = "scheduled"
    asyncio.run(trigger(kind, deadline=time.time() - 1).on_kill())
    assert cancelled(revor) == 0


@kinds
def test_without_the_argument_the_jobs_go_on(revor, trigger, airflow, caplog, kind, jobs):
    airflow.state = "failed"
    asyncio.run(trigger(kind, cancel_on_kill=False).on_kill())
    assert (cancelled(revor), airflow.looks) == (0, 0)
    assert "in Revor: ending a task leaves that as it is" in caplog.text


@kinds
@pytest.mark.parametrize("by_on_kill", [True, False], ids=["airflow-3.3", "older-airflow"])
@pytest.mark.parametrize("state", ["failed", "deferred"])
def test_older_airflows_cancel_a_trigger_for_any_reason(
    revor, trigger, airflow, monkeypatch, kind, jobs, by_on_kill, state
):
    monkeypatch.setattr("airflow_provider_revor.triggers.base.KILLS_TRIGGERS", by_on_kill)
    airflow.state = state
    waiting = trigger(kind)

    async def end():
        task = asyncio.ensure_future(anext(waiting.run()))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(end())
    assert cancelled(revor) == (jobs if state == "failed" and not by_on_kill else 0)


async def run_as_airflow(trigger):
    """Run a trigger as Airflow 3.3's triggerer does."""
    try:
        await anext(trigger.run())
    except asyncio.CancelledError as e:
        if e.args:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(trigger.on_kill(), 30)
        raise


async def kill(trigger, every, message, then=None, *, seconds=30):
    """End a trigger as a triggerer does, which cancels it again and again until it has ended."""
    task = asyncio.ensure_future(run_as_airflow(trigger))
    await asyncio.sleep(0.2)
    async with asyncio.timeout(seconds):
        while not task.done():
            task.cancel(*message)
            message = message if then is None else then
            await asyncio.wait([task], timeout=every)
    with pytest.raises(asyncio.CancelledError):
        await task


@kinds
@pytest.mark.parametrize("message", [("user-action",), ()], ids=["airflow-3.3", "older-airflow"])
def test_airflow_cancels_a_trigger_again_and_again_while_it_cancels_its_jobs(
    revor, trigger, airflow, monkeypatch, kind, jobs, message
):
    monkeypatch.setattr("airflow_provider_revor.triggers.base.KILLS_TRIGGERS", bool(message))
    airflow.state = "failed"
    revor.reset_requests()
    revor.slow(0.3, method="POST", times=jobs)
    asyncio.run(kill(trigger(kind), 0.05, message))
    assert cancelled(revor) == jobs
    # And `on_kill` has nothing left to do.
    assert sum(record.path.endswith("/cancel") for record in revor.requests) == jobs


def test_a_triggerer_that_stops_meanwhile_is_not_held_up(revor, trigger, airflow):
    airflow.state = "failed"
    revor.slow(3_600, method="POST")
    asyncio.run(kill(trigger("one"), 0.2, ("user-action",), then=(), seconds=5))
    assert cancelled(revor) == 0


def test_a_trigger_that_cannot_learn_its_jobs_ends_all_the_same(revor, trigger, airflow, monkeypatch, caplog):
    airflow.state = "failed"
    waiting = trigger("batch")
    reads = iter([[], OSError("The supervisor is gone.")])

    async def read(self):
        if isinstance(found := next(reads), Exception):
            raise found
        # Airflow kills it before it has read what there is.
        await asyncio.sleep(3_600)

    monkeypatch.setattr(OutreachBatchTrigger, "_read", read)
    asyncio.run(kill(waiting, 0.2, ("user-action",)))
    assert "The batch's jobs go on in Revor: OSError: The supervisor is gone." in caplog.text


def test_the_argument_survives_a_restart_of_the_triggerer(trigger):
    for kind in ("one", "batch"):
        path, arguments = trigger(kind).serialize()
        assert arguments["cancel_on_kill"] is True
        assert path.endswith(("OutreachJobTrigger", "OutreachBatchTrigger"))


# -- many jobs -------------------------------------------------------------------------------------------


class Many:
    """A Revor with many jobs, each of whose cancels takes a moment."""

    def __init__(self, limit=None, errors=()):
        self.at_once = self.most_at_once = 0
        self.cancelled, self.errors, self.limit = [], list(errors), limit

    def install(self, monkeypatch, airflow, after=None):
        async def cancel(hook, job_id):
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            try:
                await asyncio.sleep(0.005)
            finally:
                self.at_once -= 1
            hook.rate_limit = self.limit
            if self.errors:
                raise self.errors.pop(0)
            self.cancelled.append(job_id)
            if len(self.cancelled) == after:
                airflow.state = "running"
            return OutreachJob(job_id, "running" if job_id == "job_1" else "cancelled")

        monkeypatch.setattr(RevorHook, "acancel_outreach_job", cancel)
        return self


def cancel(jobs, seconds):
    asyncio.run(Cancelling("revor_default", [f"job_{n}" for n in range(jobs)], TASK, Place.TRIGGERER, LOG).run(seconds))


@pytest.fixture
def killed(airflow, connect):
    connect(extra={"api_version": "v2"})
    airflow.state = "failed"
    return airflow


def test_many_jobs_are_cancelled_some_at_a_time_and_the_rest_is_logged(killed, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    many = Many().install(monkeypatch, killed)
    cancel(10_000, 0.5)
    done = len(many.cancelled)
    assert 5 < done < 10_000
    assert many.most_at_once <= 5
    assert many.cancelled[:3] == ["job_0", "job_1", "job_2"]
    assert f"{done - 1:,} of 10,000 outreach jobs are cancelled. 1 have begun or ended." in caplog.text
    assert f"{10_000 - done:,} are not cancelled: there was no time for more." in caplog.text


def test_cancels_keep_to_revors_rate_limit(killed, monkeypatch):
    many = Many(RateLimit(10, 1.0)).install(monkeypatch, killed)
    cancel(100, 0.6)
    # Five at the same time before the limit is known, then one each tenth of a second.
    assert 5 <= len(many.cancelled) <= 12


def test_a_429_is_waited_out_and_the_job_is_not_forgotten(killed, monkeypatch):
    many = Many(errors=[e.RevorRateLimitError("Slow down.", retry_after=0.1)]).install(monkeypatch, killed)
    cancel(3, 10)
    assert sorted(many.cancelled) == ["job_0", "job_1", "job_2"]


def test_a_job_that_revor_does_not_know_does_not_keep_the_others(killed, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    many = Many(errors=[e.RevorNotFoundError("No such job.")]).install(monkeypatch, killed)
    cancel(3, 10)
    assert len(many.cancelled) == 2
    assert "is not cancelled: No such job." in caplog.text
    # That one has not begun, as far as is known; `job_1` has.
    assert "1 of 3 outreach jobs are cancelled. 1 have begun or ended." in caplog.text


def test_a_key_that_is_rejected_ends_it_and_says_so(killed, monkeypatch, caplog):
    many = Many(errors=[e.RevorAuthenticationError("The API key is not valid.")] * 5)
    many.install(monkeypatch, killed)
    cancel(100, 10)
    assert many.cancelled == []
    assert "100 are not cancelled: The API key is not valid." in caplog.text


def test_the_next_try_is_not_interfered_with(killed, monkeypatch, caplog):
    monkeypatch.setattr(cancelling, "_LOOK_EVERY", 0.05)
    many = Many().install(monkeypatch, killed, after=20)
    cancel(10_000, 10)
    assert 20 <= len(many.cancelled) < 1_000
    assert "the next try of the task has begun" in caplog.text


INSTANCE = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}


@pytest.mark.parametrize(
    ("place", "name", "trigger"),
    [
        pytest.param(TaskXComs, "get", lambda: OutreachBatchTrigger(instance=INSTANCE, wait="1"), id="jobs"),
        pytest.param(
            RevorHook, "_read_settings", lambda: OutreachJobTrigger(job_id="job_1", poke_interval=0.1), id="connection"
        ),
    ],
)
def test_a_kill_in_the_middle_of_a_reading_keeps_airflows_message(monkeypatch, place, name, trigger):
    # Airflow 3.3 calls `on_kill` only if the cancellation has its message.
    reading = threading.Event()
    monkeypatch.setattr(place, name, lambda *args: reading.set() or time.sleep(0.5))

    async def kill():
        waiting = asyncio.create_task(anext(trigger().run()))
        while not reading.is_set():
            await asyncio.sleep(0.01)
        waiting.cancel("by a person")
        with pytest.raises(asyncio.CancelledError, match="by a person"):
            await waiting

    asyncio.run(kill())
