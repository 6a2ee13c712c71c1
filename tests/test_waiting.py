from __future__ import annotations

import logging
import random
from datetime import datetime, timedelta

import pytest
from factories import job
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.outreach import OutreachJob
from airflow_provider_revor.waiting import WaitLog, job_pause, seconds, time_left

NOW = 1_767_258_000.0  # 2026-01-01T09:00:00Z
RUNNING = OutreachJob(**job(status="running"))


def scheduled(at, **changes):
    return OutreachJob(**job(status="scheduled", scheduled_at=at), **changes)


def test_seconds_may_be_a_timedelta():
    assert [seconds(value) for value in (5, 2.5, timedelta(minutes=2))] == [5.0, 2.5, 120.0]


@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "spent", "left"),
    [
        (600, None, 50, (600, "timeout")),
        (600, timedelta(seconds=1000), 50, (600, "timeout")),
        (600, timedelta(seconds=100), 50, (50, "execution_timeout")),
        (600, timedelta(seconds=100), 150, (0, "execution_timeout")),
        (-5, None, 50, (0, "timeout")),
    ],
)
def test_what_is_over_first_counts(timeout, execution_timeout, spent, left):
    assert time_left(timeout, execution_timeout, spent) == left


# -- pauses ----------------------------------------------------------------------------------------------


@given(st.sampled_from([RUNNING, e.RevorServerError("x"), ZeroDivisionError()]), st.floats(0, 86_400))
def test_a_pause_is_never_shorter_than_asked_and_little_longer(poll, interval):
    assert max(interval, 0.1) <= job_pause(poll, interval, NOW) <= max(interval, 0.1) * 1.25


def test_jobs_that_were_made_at_once_are_not_looked_at_in_step():
    for poll in (RUNNING, scheduled("2026-01-01T10:00:00Z"), e.RevorRateLimitError("x", retry_after=300.0)):
        pauses = [job_pause(poll, 60, NOW) for _ in range(100)]
        assert len(set(pauses)) > 90
        assert max(pauses) - min(pauses) > 5


@given(st.integers(-86_400, 86_400 * 300), st.floats(1, 3600))
def test_a_scheduled_job_is_not_looked_at_before_its_time(ahead, interval):
    at = (timedelta(seconds=ahead) + datetime(2026, 1, 1, 9)).isoformat() + "Z"
    pause = job_pause(scheduled(at), interval, NOW)
    assert max(ahead, interval) <= pause <= max(ahead, interval) + interval * 0.25


def test_its_time_is_of_revors_clock(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)
    # There it is an hour later: the job may begin at once.
    assert job_pause(scheduled("2026-01-01T10:00:00Z", clock_ahead=3600.0), 60, NOW) == 60
    assert job_pause(scheduled("2026-01-01T10:00:00Z", clock_ahead=-3600.0), 60, NOW) == 7200


@pytest.mark.parametrize("status", ["running", "settling", "paused"])
def test_what_has_begun_is_looked_at_whatever_it_was_scheduled_for(status):
    assert job_pause(OutreachJob(**job(status=status, scheduled_at="2027-01-01T00:00:00Z")), 60, NOW) <= 75


@pytest.mark.parametrize("at", [None, "soon", "", 5, "2026-13-01T00:00:00Z", {}])
def test_a_time_that_is_none_makes_no_difference(at):
    assert 60 <= job_pause(scheduled(at), 60, NOW) <= 75


def test_retry_after_counts_within_reason():
    assert 300 <= job_pause(e.RevorRateLimitError("x", retry_after=300.0), 40, NOW) <= 310
    assert 86_400 <= job_pause(e.RevorRateLimitError("x", retry_after=10.0**11), 40, NOW) <= 86_410


# -- what is told ----------------------------------------------------------------------------------------


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "wait")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "wait"]


def wait_log(**kwargs):
    return WaitLog(logging.getLogger("wait"), "how it stands", **kwargs)


def test_it_tells_once_per_change(told):
    log = wait_log()
    for reason in ("It is shut.", "It is shut.", "It is ajar.", "It is shut."):
        log.waiting(reason)
    assert told() == [("INFO", f"Waiting. It is {what}.") for what in ("shut", "ajar", "shut")]


def test_the_same_trouble_with_another_request_id_is_no_news(told):
    log = wait_log()
    for n in range(3):
        log.trouble(e.RevorServerError(f"request {n}", status_code=503, code="busy"))
    log.trouble(e.RevorServerError("request 4", status_code=500, code="busy"))
    assert told() == [
        ("WARNING", f"Could not learn how it stands, waiting on: RevorServerError: request {n}") for n in (0, 4)
    ]


def test_what_the_worker_told_the_trigger_does_not_tell_again(told):
    worker = wait_log()
    worker.waiting("It is shut.")
    wait_log(told=worker.told).waiting("It is shut.")
    assert len(told()) == 1
    # The mark goes into a trigger's row: it tells nothing.
    assert "shut" not in worker.told
    wait_log().waiting("\ud800")
