"""One table: whatever becomes of a job, its sensor ends the same whether it pokes, is rescheduled or is deferred."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from factories import job
from modes import Clock, by_deferring, by_poking, by_rescheduling

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.cancel import CancelOutreachJobOperator
from airflow_provider_revor.sensors.outreach import OutreachJobSensor
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

START = 1_700_000_000.0


def at(seconds):
    return datetime.fromtimestamp(START + seconds, UTC).isoformat()


def running(status="running", **changes):
    return job(**{"status": status, "scheduled_at": at(0), "finished_at": None, "result": None, **changes})


def failed(status="failed", **error):
    return job(status=status, result=None, error={"code": "mailbox_full", "message": "Full.", **error})


LIMITED = e.RevorRateLimitError("limited", status_code=429, retry_after=180.0)
FAILED, AGAIN, CANCELLED = failed(), failed(retryable=True), failed("cancelled")
SKIPPED = job(action="outreach.linkedin.post_like", result={"status": "skipped"})
SOFT, NEVER, SILENT = {"soft_fail": True}, {"never_fail": True}, {"silent_fail": True}
SHORT = {"execution_timeout": timedelta(seconds=300)}

# What the looks get, one after the other, the last one for ever; the sensor's arguments; how it ends.
TABLE = {
    "it has succeeded": ([job()], {}, "success"),
    "it succeeds later": ([running("queued"), running(), job()], {}, "success"),
    "it is skipped": ([running(), SKIPPED], {}, "success"),
    "its status is not known": ([running("settling"), running("paused"), job()], {}, "success"),
    "its status stays unknown": ([running("settling")], {}, AirflowSensorTimeout),
    "it never ends": ([running()], {}, AirflowSensorTimeout),
    "it never ends, soft_fail": ([running()], SOFT, AirflowSkipException),
    "it never ends, never_fail": ([running()], NEVER, AirflowSensorTimeout),
    "it never ends, silent_fail": ([running()], SILENT, AirflowSensorTimeout),
    "it never ends, execution_timeout": ([running()], SHORT, AirflowTaskTimeout),
    "it never ends, execution_timeout, soft_fail": ([running()], {**SHORT, **SOFT}, AirflowTaskTimeout),
    "it never ends, execution_timeout, never_fail": ([running()], {**SHORT, **NEVER}, AirflowTaskTimeout),
    "it failed": ([FAILED], {}, e.RevorJobFailedError),
    "it fails later": ([running(), FAILED], {}, e.RevorJobFailedError),
    "it fails, soft_fail": ([running(), FAILED], SOFT, AirflowSkipException),
    "it fails, never_fail": ([running(), FAILED], NEVER, AirflowSkipException),
    "it fails, silent_fail": ([running(), FAILED, job()], SILENT, e.RevorJobFailedError),
    "it fails, retryable": ([running(), AGAIN], {}, e.RevorJobFailedError),
    "it fails, retryable, soft_fail": ([running(), AGAIN], SOFT, AirflowSkipException),
    "it fails, retryable, silent_fail": ([running(), AGAIN, job()], SILENT, e.RevorJobFailedError),
    "it fails without a word": ([running(), job(status="failed")], {}, e.RevorJobFailedError),
    "it is cancelled": ([running(), CANCELLED], {}, e.RevorJobFailedError),
    "it is cancelled, soft_fail": ([running(), CANCELLED], SOFT, AirflowSkipException),
    "it is cancelled, never_fail": ([running(), CANCELLED], NEVER, AirflowSkipException),
    "faults heal": ([429, 503, "reset", "<html>", job()], {}, "success"),
    "it is asked for too often": ([running(), LIMITED, running(), job()], {}, "success"),
    "it is asked for too often, for good": ([running(), LIMITED], {}, AirflowSensorTimeout),
    "503 lasts": ([running(), 503], {}, AirflowSensorTimeout),
    "503 lasts, soft_fail": ([running(), 503], SOFT, AirflowSkipException),
    "503 lasts, never_fail": ([running(), 503], NEVER, AirflowSensorTimeout),
    "no answer, ever": (["reset"], {}, AirflowSensorTimeout),
    "it is not there": ([404], {}, e.RevorNotFoundError),
    "it is gone": ([running(), 404], {}, e.RevorNotFoundError),
    "it is gone, soft_fail": ([running(), 404], SOFT, e.RevorNotFoundError),
    "it is gone, never_fail": ([running(), 404], NEVER, AirflowSkipException),
    "it is gone for a while, silent_fail": ([running(), 404, 404, job()], SILENT, "success"),
    "the key is revoked": ([running(), 401], {}, e.RevorAuthenticationError),
    "the key is revoked, soft_fail": ([running(), 401], SOFT, AirflowSkipException),
    "the key is revoked, never_fail": ([running(), 401], NEVER, AirflowSkipException),
    "the key is revoked, silent_fail": ([running(), 401, job()], SILENT, e.RevorAuthenticationError),
    "permission is taken": ([running(), 403], {}, e.RevorPermissionError),
    "the connection is missing for a while": ([running(), *3 * ["missing"], job()], {}, "success"),
    "the connection is gone": ([running(), "missing"], {}, e.RevorMissingConnectionError),
    "the connection is gone, soft_fail": ([running(), "missing"], SOFT, e.RevorMissingConnectionError),
    "it is scheduled": ([running("scheduled", scheduled_at=at(400)), running(), job()], {}, "success"),
    "it is scheduled past the timeout": ([running("scheduled", scheduled_at=at(9999))], {}, AirflowSensorTimeout),
}

ERRORS = {
    401: e.RevorAuthenticationError,
    403: e.RevorPermissionError,
    404: e.RevorNotFoundError,
    429: e.RevorRateLimitError,
    503: e.RevorServerError,
}


class World(Clock):
    """Revor's answers and a clock that only waiting moves."""

    def __init__(self, monkeypatch, answers):
        super().__init__(monkeypatch, START)
        self.answers = answers
        self.looked_at = []
        self.misses = 0
        monkeypatch.setattr(RevorHook, "get_outreach_job", lambda hook, job_id: self.look(job_id))
        monkeypatch.setattr(RevorHook, "aget_outreach_job", lambda hook, job_id: self.alook(job_id))

    def look(self, job_id):
        assert job_id == "job_1"
        answer = self.answers[min(len(self.looked_at) + self.misses, len(self.answers) - 1)]
        if answer == "missing":
            self.misses += 1
            raise e.RevorMissingConnectionError("missing")
        self.looked_at.append(self.passed)
        if isinstance(answer, dict):
            return OutreachJob(**answer)
        if isinstance(answer, int):
            raise ERRORS[answer]("refused", status_code=answer)
        raise {"reset": e.RevorConnectionError("reset"), "<html>": e.RevorResponseError("HTML")}.get(answer, answer)

    async def alook(self, job_id):
        return self.look(job_id)


@pytest.fixture
def world_of(connect, monkeypatch):
    """Return a function that sets a world up, and a context to run in."""
    connect()

    def set_up(answers):
        world = World(monkeypatch, answers)
        return world, {"ti": world.ti()}

    return set_up


def sensor_of(**kwargs):
    return OutreachJobSensor(
        task_id="wait", **{"job_id": "job_1", "deferrable": False, "poke_interval": 60, "timeout": 600, **kwargs}
    )


every_mode = pytest.mark.parametrize("wait", [by_poking, by_rescheduling, by_deferring])


@every_mode
@pytest.mark.parametrize("situation", TABLE)
def test_a_sensor_ends_the_same_in_every_mode(world_of, wait, situation):
    answers, kwargs, end = TABLE[situation]
    world, context = world_of(answers)
    if end is AirflowTaskTimeout and wait is by_rescheduling:
        # To Airflow, each poke is another execution: none of them takes long.
        end = AirflowSkipException if kwargs.get("soft_fail") else AirflowSensorTimeout

    if end == "success":
        found = wait(sensor_of(**kwargs), context, world)
        assert found == answers[-1] == json.loads(json.dumps(found))
        assert len(world.looked_at) + world.misses == len(answers)
    else:
        with pytest.raises(end) as ended:
            wait(sensor_of(**kwargs), context, world)
        assert type(ended.value) is end
        if end is e.RevorJobFailedError and situation != "it fails without a word":
            assert ended.value.code == "mailbox_full"
            assert "clear the task that created" in str(ended.value) or "sends again" in str(ended.value)
    # At most one look per interval; none before its time, or long after the time is up.
    looks = world.looked_at
    assert all(after - before >= 60 for before, after in pairwise(looks))
    if "scheduled" in situation:
        assert [look for look in looks[1:] if look < 400] == []
    if LIMITED in answers:
        assert looks[2] - looks[1] >= 180
    assert world.passed <= 600 + 75


@every_mode
def test_sensors_of_one_moment_do_not_look_in_step(world_of, wait):
    for first in (running(), running("scheduled", scheduled_at=at(400)), LIMITED):
        seconds = set()
        for _ in range(20):
            world, context = world_of([first, job()])
            wait(sensor_of(), context, world)
            seconds.add(world.looked_at[1])
        assert len(seconds) > 15


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_id_that_rendered_to_nothing_fails_before_any_request(connect, requests_mock, deferrable):
    connect()
    sensor = sensor_of(job_id="{{ params.job }}", deferrable=deferrable)
    sensor.render_template_fields({"params": {"job": None}})
    with pytest.raises(e.RevorValueError, match="must name an outreach job"):
        sensor.execute({"ti": MagicMock(max_tries=0)})
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("returned", [job(), ["job_1"]])
def test_a_whole_job_is_no_id_and_fails_before_any_request(connect, requests_mock, returned, native):
    connect()
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        tasks = sensor_of(job_id="{{ returned }}"), CancelOutreachJobOperator(task_id="c", job_id="{{ returned }}")
    for task in tasks:
        task.render_template_fields({"returned": returned})
        with pytest.raises(e.RevorValueError, match=r"^job_id must be one id.*send\.output\['job_id'\]"):
            task.execute({"ti": MagicMock(max_tries=0)})
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("job_id", ["", " ", "None", "..", None])
def test_an_id_that_names_no_job_fails_when_the_dag_is_parsed(job_id):
    with pytest.raises(ValueError, match="must name an outreach job"):
        sensor_of(job_id=job_id)


def test_the_id_may_be_the_output_of_a_task():
    from airflow.providers.common.compat.sdk import DAG

    with DAG("d", schedule=None):
        first = sensor_of()
        second = OutreachJobSensor(task_id="then", job_id=first.output["id"])
    assert second.upstream_task_ids == {"wait"}


def test_the_trigger_gets_what_it_needs_and_nothing_personal(world_of):
    result = {**job()["result"], "account_identifier": "ada@example.com"}
    _, context = world_of([running(result=result)])
    with pytest.raises(TaskDeferred) as deferred:
        sensor_of(deferrable=True, silent_fail=True, revor_conn_id="revor_default").execute(context)
    _, kwargs = deferred.value.trigger.serialize()
    told, first = kwargs.pop("last_logged"), kwargs.pop("first_poll_at")
    assert kwargs == {
        "job_id": "job_1",
        "revor_conn_id": "revor_default",
        "poke_interval": 60,
        "deadline": START + 600,
        "deadline_status": "timeout",
        "timeout": None,
        "notify_at": None,
        "notify_after": None,
        "log_every": 3600.0,
        "silent_fail": True,
        "end_here": START_FROM_TRIGGER,
        "push_xcoms": True,
        "api_version": "v1",
        "cancel_on_kill": False,
    }
    assert START + 60 <= first <= START + 75
    assert "ada@example.com" not in f"{told}{deferred.value.trigger!r}"


def test_it_logs_once_per_change_and_nothing_of_the_result(world_of, caplog, monkeypatch):
    world, context = world_of([running(), running(), LIMITED, LIMITED, job()])
    monkeypatch.setattr(OutreachJobSensor, "log", logging.getLogger("sensor"))
    with caplog.at_level(logging.INFO):
        by_poking(sensor_of(timeout=6000), context, world)
    told = [record.getMessage() for record in caplog.records if record.name == "sensor"]
    assert [line for line in told if "utreach job" in line] == [
        "Waiting. Outreach job job_1 is running.",
        "Could not learn how outreach job job_1 stands, waiting on: RevorRateLimitError: limited",
        "Outreach job job_1 has succeeded.",
    ]
    assert len([line for line in told if "looks again in about" in line]) == 2
    assert "msg_1" not in caplog.text


@pytest.mark.parametrize("wait", [by_poking, by_deferring])
def test_over_a_real_socket(revor_sandbox, wait):
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
    revor_sandbox.script_jobs(after=None)
    with RevorHook() as hook:
        made = hook.create_outreach_dispatch(
            "acc_1", "email", {"address": "dana@example.com"}, {"subject": "s", "text": "t"}, idempotency_key="k"
        )
    revor_sandbox.reset_requests()
    revor_sandbox.fail(503, method="GET")

    def finish():
        revor_sandbox.wait_for_requests(3, timeout=60)
        revor_sandbox.finish_job(made.id)

    sensor = sensor_of(job_id=made.id, poke_interval=0.1, timeout=60)
    with ThreadPoolExecutor(1) as person:
        person.submit(finish)
        found = wait(sensor, {"ti": MagicMock(max_tries=0)}, SimpleNamespace())
    assert found == revor_sandbox.jobs[0]
    assert {record.method for record in revor_sandbox.requests} == {"GET"}


def test_a_job_whose_id_is_a_number_has_it_in_the_message():
    sensor = OutreachJobSensor(task_id="wait", job_id=7)
    with pytest.raises(AirflowSensorTimeout, match="Outreach job 7 has not ended"):
        sensor.execute_complete({}, {"status": "timeout"})
