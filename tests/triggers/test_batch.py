"""One trigger waits for a whole batch: few requests, one client, and a restart does not begin again."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import tracemalloc
from itertools import pairwise

import pytest
from factories import job

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.rules.batch import End, pack, unpack
from airflow_provider_revor.rules.outcomes import Row
from airflow_provider_revor.triggers.batch import OutreachBatchTrigger
from airflow_provider_revor.triggers.xcoms import TaskXComs

INSTANCE = {"dag_id": "d", "run_id": "r", "task_id": "send", "map_index": -1}
START = 1_767_258_000.0  # 2026-01-01T09:00:00Z


class World:
    """A Revor that ends each job at a given time, the task's XComs, and a clock."""

    def __init__(self, monkeypatch):
        self.now = START
        self.asked, self.hooks, self.xcoms = [], set(), {}
        self.ends, self.errors = {}, {}
        self.killed_at = None
        really = asyncio.sleep

        async def sleep(seconds):
            self.now += seconds
            if self.killed_at and self.now >= self.killed_at:
                raise KeyboardInterrupt
            await really(0)

        async def get(hook, job_id):
            self.hooks.add(hook)
            self.asked.append((job_id, self.now - START))
            if errors := self.errors.get(job_id):
                raise errors.pop(0)
            end_at, status, error = self.ends.get(job_id, (0, "succeeded", None))
            ended = self.now >= START + end_at
            return OutreachJob(**job(id=job_id, status=status if ended else "running", error=(ended and error) or None))

        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(asyncio, "sleep", sleep)
        monkeypatch.setattr(RevorHook, "aget_outreach_job", get)
        monkeypatch.setattr(TaskXComs, "get", lambda _, key: json.loads(json.dumps(self.xcoms.get(key))))
        monkeypatch.setattr(TaskXComs, "set", lambda _, key, value: self.xcoms.update({key: value}))

    def rows(self, *rows):
        self.xcoms = {"jobs": [row.as_dict() for row in rows], "jobs_ended": {"wait": "w", "ends": []}}

    def run(self, **kwargs):
        _, arguments = OutreachBatchTrigger(**{"instance": INSTANCE, "wait": "w", **kwargs}).serialize()
        trigger = OutreachBatchTrigger(**json.loads(json.dumps(arguments)))

        async def first_event():
            return await anext(aiter(trigger.run()))

        payload = asyncio.run(first_event()).payload
        assert json.loads(json.dumps(payload)) == payload
        return payload


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def waiting(number, scheduled_at=None):
    return Row(f"crm-{number}", "acc_1", "email", f"job_{number}", "scheduled", scheduled_at=scheduled_at)


def test_each_job_is_asked_for_when_it_is_due_and_once_if_it_has_ended(world):
    world.rows(
        waiting(0, "2026-01-01T10:00:00Z"),
        waiting(1),
        Row("crm-2", status="skipped", code="duplicate_person"),
        Row("crm-3", job_id="job_3", status="succeeded"),
    )
    payload = world.run()
    assert world.asked == [("job_1", 60), ("job_0", 3660)]
    assert payload == {"status": "success", "ends": pack({0: End("succeeded"), 1: End("succeeded")})}
    assert len(world.hooks) == 2, "each look reads the connection again"


def test_looks_in_quick_succession_share_a_reading_of_the_connection_until_one_fails(world):
    world.rows(*(waiting(number) for number in range(150)))
    world.run(max_requests_per_minute=600)
    assert [round(at) for _, at in (world.asked[0], world.asked[-1])] == [60, 75]
    assert len(world.hooks) == 2

    world.hooks.clear()
    world.rows(*(waiting(number) for number in range(20)))
    world.errors["job_10"] = [e.RevorAuthenticationError("rotated")]
    assert world.run(max_requests_per_minute=600)["status"] == "success"
    assert len(world.hooks) == 3


def test_a_job_that_goes_on_is_asked_for_after_growing_pauses(world):
    world.rows(waiting(0))
    world.ends["job_0"] = (10_000, "succeeded", None)
    world.run()
    assert [at for _, at in world.asked] == [60, 120, 240, 480, 960, 1920, 3840, 7440, 11040]


def test_how_each_job_ended_is_handed_on(world):
    world.rows(*(waiting(number) for number in range(3)))
    world.ends["job_1"] = (0, "failed", {"code": "busy", "message": "Dana is busy", "retryable": True})
    world.errors["job_2"] = [e.RevorNotFoundError("gone", code="external_api_job_not_found")]
    payload = world.run()
    assert unpack(payload["ends"]) == {
        0: End("succeeded"),
        1: End("failed", "busy", True),
        2: End("job_unknown", "external_api_job_not_found"),
    }
    assert "Dana" not in json.dumps(payload)


@pytest.mark.parametrize("most", [1, 30, 600])
def test_there_are_at_most_so_many_requests_a_minute(world, most):
    world.rows(*(waiting(number) for number in range(50)))
    world.run(max_requests_per_minute=most)
    times = [at for _, at in world.asked]
    assert len(times) == 50
    for first in times:
        assert sum(first <= at < first + 60 - 1e-6 for at in times) <= most


def test_a_restart_asks_for_nothing_again_that_was_noted(world):
    world.rows(*(waiting(number) for number in range(200)))
    world.killed_at = START + 180
    with pytest.raises(KeyboardInterrupt):
        world.run()
    before = [job_id for job_id, _ in world.asked]
    world.killed_at = None
    payload = world.run()
    again = [job_id for job_id, _ in world.asked[len(before) :] if job_id in before]
    assert 100 < len(before) < 150
    assert len(again) <= 31, "what was asked in the last half minute"
    assert len(unpack(payload["ends"])) == 200


def test_notes_of_an_earlier_try_do_not_count(world):
    world.rows(waiting(0))
    world.xcoms["jobs_ended"] = {"wait": "another", "ends": pack({0: End("failed", "busy")})}
    assert unpack(world.run()["ends"]) == {0: End("succeeded")}


def test_notes_that_cannot_be_kept_are_a_warning(world, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("The API server is away.")

    monkeypatch.setattr(TaskXComs, "set", fail)
    monkeypatch.setattr(OutreachBatchTrigger, "log", logging.getLogger("trigger"))
    world.rows(*(waiting(number) for number in range(60)))
    assert world.run()["status"] == "success"
    assert "not kept across a restart" in caplog.text


def test_retry_after_holds_up_all_jobs(world):
    world.rows(waiting(0), waiting(1))
    world.errors["job_0"] = [e.RevorRateLimitError("slowly", status_code=429, retry_after=3600)]
    world.run()
    assert [job_id for job_id, _ in world.asked] == ["job_0", "job_1", "job_0"]
    assert world.asked[1][1] >= 60 + 3600


def test_what_may_pass_is_waited_out_with_growing_pauses(world):
    world.rows(waiting(0))
    world.errors["job_0"] = [e.RevorConnectionError("away")] * 4
    assert world.run()["status"] == "success"
    times = [at for _, at in world.asked]
    assert [round(after - before) for before, after in pairwise(times)] == [60, 60, 120, 240]
    assert len(world.hooks) == 5


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        pytest.param([e.RevorAuthenticationError("no")], "success", id="a-key-that-was-rotated"),
        pytest.param([e.RevorAuthenticationError("no")] * 2, "error", id="a-key-that-is-not-valid"),
        pytest.param([e.RevorPermissionError("no")] * 2, "error", id="not-permitted"),
        pytest.param([e.RevorNotFoundError("no", code="endpoint_not_found")], "error", id="no-endpoint"),
        pytest.param([e.RevorMissingConnectionError("no")] * 3, "success", id="a-connection-that-is-back"),
        pytest.param([e.RevorMissingConnectionError("no")] * 9, "error", id="a-connection-that-is-gone"),
    ],
)
def test_what_ends_the_wait(world, errors, status):
    world.rows(waiting(0))
    world.errors["job_0"] = list(errors)
    payload = world.run()
    assert payload["status"] == status
    if status == "error":
        assert payload["error"]["error"] == type(errors[0]).__name__


def test_the_deadline_leaves_what_is_known(world):
    world.rows(waiting(0), waiting(1))
    world.ends["job_1"] = (10**6, "succeeded", None)
    payload = world.run(deadline=START + 5000, deadline_status="execution_timeout")
    assert (payload["status"], unpack(payload["ends"])) == ("execution_timeout", {0: End("succeeded")})


def test_xcoms_that_are_gone_are_an_error(world):
    assert world.run()["status"] == "error"


def test_the_log_can_be_followed_and_has_at_most_a_line_a_minute(world, monkeypatch, caplog):
    monkeypatch.setattr(OutreachBatchTrigger, "log", logging.getLogger("trigger"))
    world.rows(*(waiting(number) for number in range(120)), waiting(120, "2026-01-01T12:00:00Z"))
    world.ends["job_1"] = (0, "failed", {"code": "busy"})
    with caplog.at_level(logging.INFO, "trigger"):
        world.run()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "0 of 121: 0 sent, 0 skipped, 0 failed; next in 1 minute."
    assert lines[1] == "1 of 121: 1 sent, 0 skipped, 0 failed."
    assert lines[-1] == "120 of 121: 119 sent, 0 skipped, 1 failed; next in 3 hours."
    assert len(lines) <= 5


def test_ten_thousand_jobs_are_a_few_megabytes_and_a_small_event(world):
    world.rows(*(waiting(number) for number in range(10_000)))
    tracemalloc.start()
    payload = world.run(max_requests_per_minute=60_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(json.dumps(payload)) < 200
    assert len(json.dumps(world.xcoms["jobs"])) < 3_000_000
    assert peak < 40_000_000
