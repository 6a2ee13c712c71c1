"""Outreach that waits long tells people, once, and waits on: on a worker and in the triggerer."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from functools import partial

import pytest
from airflow.providers.common.compat.sdk import BaseNotifier
from factories import job
from modes import Clock, by_deferring, by_poking
from outreach_tasks import EMAIL, dispatch, like

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators import waiting as job_waiting
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.batch import waiting as batch_waiting
from airflow_provider_revor.triggers.xcoms import TaskXComs

START = 1_700_000_000.0
CONSOLE = "https://revor.ai/console/connect"
RUNNING = OutreachJob(**job(status="running", scheduled_at=None, finished_at=None, result=None))
SENT = OutreachJob(**job())


def batch(**kwargs):
    messages = [{**EMAIL, "recipient": {"address": f"{name}@example.com"}} for name in ("ada", "grace")]
    return OutreachBatchOperator(task_id="send", messages=messages, min_channel_task_interval_seconds=None, **kwargs)


WAITS = [
    pytest.param(dispatch, by_poking, id="dispatch-worker"),
    pytest.param(dispatch, by_deferring, id="dispatch-triggerer"),
    pytest.param(like, by_poking, id="like-worker"),
    pytest.param(like, by_deferring, id="like-triggerer"),
    pytest.param(batch, by_deferring, id="batch"),
]
every_wait = pytest.mark.parametrize(("make", "mode"), WAITS)


class Told:
    """What a callback was told, and when."""

    def __init__(self, then=lambda: None):
        self.calls = []
        self.clock = None
        self._then = then

    def __call__(self, context):
        self.calls.append((round(self.clock.passed), context["revor_wait"]))
        self._then()


class Play:
    """Revor, whose looks come to what is given, the last one for ever, and Airflow's XComs."""

    def __init__(self, monkeypatch):
        self.created = 0
        self.xcoms: dict = {}
        self._monkeypatch = monkeypatch

    def __call__(self, mode, task, *looks, told):
        patch, seen, latest = self._monkeypatch.setattr, iter(looks), []
        told.clock = clock = Clock(self._monkeypatch, START)

        def create(hook, *args, **kwargs):
            self.created += 1
            return RUNNING

        def look(hook, job_id):
            latest[:] = [next(seen, *latest)]
            return latest[0]

        async def alook(hook, job_id):
            return look(hook, job_id)

        async def aget(_, key):
            return self.get(key)

        async def aset(_, key, value):
            self.xcoms[key] = value

        for name in ("create_outreach_dispatch", "create_linkedin_post_like"):
            patch(RevorHook, name, create)
        patch(RevorHook, "get_outreach_job", look)
        patch(RevorHook, "aget_outreach_job", alook)
        patch(TaskXComs, "get", lambda _, key: self.get(key))
        patch(TaskXComs, "aget", aget)
        patch(TaskXComs, "aset", aset)
        ids = {"dag_id": "outreach", "run_id": "r", "task_id": "send", "map_index": -1, "try_number": 1}
        ti = clock.ti(**ids, log_url="https://airflow/log")
        ti.xcom_push = lambda key, value: self.xcoms.update({key: value})
        return mode(task, {"ti": ti}, clock)

    def get(self, key):
        return json.loads(json.dumps(self.xcoms.get(key)))


@pytest.fixture
def play(connect, monkeypatch):
    connect()
    return Play(monkeypatch)


def long(make, told, **kwargs):
    arguments = {"poke_interval": 60, "timeout": 600, "notify_after": 150, "on_waiting_callback": told, **kwargs}
    return make(**arguments)


@every_wait
@pytest.mark.parametrize("after", [0, 30, 60, 150, 540])
def test_a_wait_that_lasts_tells_people_once_and_goes_on_with_the_same_deadline(play, make, mode, after):
    told = Told()
    with pytest.raises(e.RevorJobTimeoutError, match="600 s"):
        play(mode, long(make, told, notify_after=timedelta(seconds=after)), RUNNING, told=told)
    assert len(told.calls) == 1
    assert after <= told.calls[0][0] <= after + 1
    assert 600 <= told.clock.passed <= 600 + 15
    assert play.created == (2 if make is batch else 1)


@every_wait
def test_people_are_told_how_it_stands_and_the_links(play, make, mode):
    told = Told()
    play(mode, long(make, told), *6 * [RUNNING], SENT, told=told)
    ((_, wait),) = told.calls
    unmet, reason = (
        ("Not all jobs have ended", "2 messages: 0 sent, 2 accepted, 0 skipped, 0 failed.")
        if make is batch
        else ("Outreach job job_1 has not ended", "Outreach job job_1 is running.")
    )
    assert wait == {
        "waited": "2 minutes",
        "until": "2023-11-14 22:23:20 UTC",
        "reasons": [reason],
        "links": {"accounts": CONSOLE, "log": "https://airflow/log"},
        "message": "\n".join(
            [
                f"Task send of Dag outreach has waited for 2 minutes. {unmet} on connection 'revor_default'.",
                reason,
                "It waits until 2023-11-14 22:23:20 UTC.",
                f"Accounts: {CONSOLE}",
                "Log: https://airflow/log",
            ]
        ),
    }


@every_wait
def test_a_wait_that_ends_before_tells_nobody(play, make, mode):
    told = Told()
    play(mode, long(make, told), RUNNING, RUNNING, SENT, told=told)
    assert told.calls == []


def test_a_batch_goes_on_with_the_jobs_that_have_not_ended(play):
    told = Told()
    # When people are told, the first job goes on, and the second has ended.
    summary = play(by_deferring, long(batch, told, notify_after=90), RUNNING, SENT, told=told)
    assert told.calls[0][1]["reasons"] == ["2 messages: 1 sent, 1 accepted, 0 skipped, 0 failed."]
    assert summary["sent"] == 2


def test_a_short_batch_logs_what_was_accepted_how_long_it_waits_and_the_end(play, monkeypatch, caplog):
    monkeypatch.setattr(OutreachBatchOperator, "log", logging.getLogger("batch"))
    with caplog.at_level(logging.INFO, "batch"):
        play(by_deferring, batch(poke_interval=60, timeout=600), RUNNING, RUNNING, SENT, told=Told())
    assert [record.getMessage() for record in caplog.records if "messages" in record.getMessage()] == [
        "2 messages: 0 sent, 2 accepted, 0 skipped, 0 failed. It waits for the jobs until 2023-11-14 22:23:20 UTC at "
        "the latest.",
        "2 messages: 2 sent, 0 skipped, 0 failed.",
    ]
    assert not [record for record in caplog.records if record.name == "batch" and " of 2:" in record.getMessage()]


@pytest.mark.parametrize("make", [dispatch, like])
def test_a_job_that_fails_after_people_were_told_is_a_failure(play, make):
    told = Told()
    failed = OutreachJob(**job(status="failed", result=None))
    with pytest.raises(e.RevorJobFailedError, match="Outreach job job_1 failed"):
        play(by_deferring, long(make, told), *5 * [RUNNING], failed, told=told)
    assert len(told.calls) == 1


@pytest.mark.parametrize(("make", "room"), [(dispatch, job_waiting), (batch, batch_waiting)])
def test_a_person_who_ends_the_task_while_people_are_told_cancels_its_jobs(connect, play, monkeypatch, make, room):
    connect(extra={"api_version": "v2"})
    cancelled = []
    monkeypatch.setattr(room, "cancel_from_worker", lambda conn_id, jobs, *_: cancelled.extend(jobs) or bool(cancelled))
    told = Told(then=lambda: task.on_kill())
    task = long(make, told, cancel_on_kill=True)
    # Another process resumes the task.
    resumed = partial(_in_another_process, task, told, make)
    with pytest.raises(e.RevorJobTimeoutError):
        play(resumed, task, RUNNING, told=told)
    assert cancelled == ["job_1"] * (2 if make is batch else 1)


def _in_another_process(first, told, make, task, context, clock):
    second = long(make, told, cancel_on_kill=True)
    told._then = second.on_kill
    first.resume_execution = second.resume_execution
    return by_deferring(first, context, clock)


@pytest.mark.parametrize("make", [dispatch, like, batch])
def test_notify_after_takes_a_callback(make):
    with pytest.raises(e.RevorValueError, match="notify_after takes an on_waiting_callback"):
        make(notify_after=60)
    with pytest.raises(e.RevorValueError, match="^notify_after="):
        make(notify_after=-1, on_waiting_callback=print)


class Notifier(BaseNotifier):
    def notify(self, context):
        """Tell nobody."""


def tell_people(context):
    """Tell nobody."""


@pytest.mark.usefixtures("airflow_db")
@pytest.mark.parametrize("callback", [tell_people, Notifier(), [tell_people, Notifier()]])
def test_a_mapped_task_with_a_callback_can_be_stored(callback):
    from airflow.providers.common.compat.sdk import DAG

    from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
    from airflow_provider_revor.version_compat import store_dag

    with DAG("tells", schedule=None) as dag:
        OutreachDispatchOperator.partial(
            task_id="send",
            **{name: value for name, value in EMAIL.items() if name != "recipient"},
            notify_after=timedelta(hours=1),
            on_waiting_callback=callback,
        ).expand(recipient=[{"address": "ada@example.com"}])
    store_dag(dag)
