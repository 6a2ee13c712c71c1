from __future__ import annotations

import logging
import math
import random
from datetime import datetime, timedelta

import pytest
from factories import job
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.rules.pauses import (
    Misses,
    asked_pause,
    deferral_timeout,
    first_pause,
    job_pause,
    seconds,
    time_left,
)
from airflow_provider_revor.tasks.progress import WaitLog

NOW = 1_767_258_000.0  # 2026-01-01T09:00:00Z
LIMITED = e.RevorRateLimitError("limited", retry_after=1.0)
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


@given(st.integers(-86_400, 86_400 * 300), st.floats(1, 7200))
def test_a_scheduled_job_is_looked_at_at_its_time_and_once_an_hour_before(ahead, interval):
    at = (timedelta(seconds=ahead) + datetime(2026, 1, 1, 9)).isoformat() + "Z"
    pause = job_pause(scheduled(at), interval, NOW)
    least = max(min(ahead, 3600), interval)
    assert least <= pause <= least + interval * 0.25


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"])
def test_a_time_beyond_all_others_is_a_time_too(at):
    assert 60 <= job_pause(scheduled(at), 60, NOW) <= 3615


def test_its_time_is_of_revors_clock(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)
    # There it is an hour later: the job may begin at once.
    assert job_pause(scheduled("2026-01-01T10:00:00Z", clock_ahead=3600.0), 60, NOW) == 60
    assert job_pause(scheduled("2026-01-01T09:10:00Z", clock_ahead=-600.0), 60, NOW) == 1200


@pytest.mark.parametrize("status", ["running", "settling", "paused"])
def test_what_has_begun_is_looked_at_whatever_it_was_scheduled_for(status):
    assert job_pause(OutreachJob(**job(status=status, scheduled_at="2027-01-01T00:00:00Z")), 60, NOW) <= 75


@pytest.mark.parametrize("at", [None, "soon", "", 5, "2026-13-01T00:00:00Z", {}])
def test_a_time_that_is_none_makes_no_difference(at):
    assert 60 <= job_pause(scheduled(at), 60, NOW) <= 75


def test_retry_after_counts_within_reason():
    assert 300 <= job_pause(e.RevorRateLimitError("x", retry_after=300.0), 40, NOW) <= 340
    assert 86_400 <= job_pause(e.RevorRateLimitError("x", retry_after=10.0**11), 40, NOW) <= 86_400 * 1.1 + 10


def test_those_who_are_told_at_once_to_stay_away_do_not_come_back_at_once():
    limited = e.RevorRateLimitError("x", retry_after=300.0)
    for pauses in ([asked_pause(limited) for _ in range(100)], [job_pause(limited, 1, NOW) for _ in range(100)]):
        assert min(pauses) >= 300
        assert max(pauses) - min(pauses) > 15
    assert asked_pause(e.RevorServerError("x")) == asked_pause(object()) == 0


@pytest.mark.parametrize(
    ("first_poll_at", "pause"),
    [
        pytest.param(None, 0, id="none"),
        pytest.param(0.0, 0, id="long past"),
        pytest.param(-math.inf, 0, id="before all time"),
        pytest.param(math.nan, 0, id="no number"),
        pytest.param(NOW, 0, id="now"),
        pytest.param(NOW + 7, 7, id="soon"),
        pytest.param(NOW + 10**9, 86_400, id="another clock"),
        pytest.param(math.inf, 86_400, id="after all time"),
    ],
)
def test_a_first_poll_is_never_further_ahead_than_a_day(first_poll_at, pause):
    assert first_pause(first_poll_at, 60, NOW) == pause


def test_a_first_poll_may_be_an_interval_ahead():
    assert first_pause(NOW + 100_000, 200_000, NOW) == 100_000


# -- lengths of time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-1, -0.001, math.nan, math.inf, -math.inf, timedelta(seconds=-1), "60", None])
def test_what_is_no_length_of_time_is_refused_by_the_name_of_its_argument(value):
    with pytest.raises(e.RevorValueError, match="^poke_interval=.*: use a number of seconds from 0 on, or a timedelta"):
        seconds(value, "poke_interval")


@pytest.mark.parametrize("value", [timedelta.max, 10.0**300, 10**12])
def test_the_longest_length_of_time_overflows_nothing(value):
    length = seconds(value)
    assert length == 10 * 365 * 86_400
    assert datetime(2026, 1, 1) + deferral_timeout(length) < datetime(2037, 1, 1)
    assert deferral_timeout(timedelta.max.total_seconds()) == deferral_timeout(length)


# -- a connection that is not found ----------------------------------------------------------------------

MISSING, SHUT = e.RevorMissingConnectionError("x"), []


@pytest.mark.parametrize(
    ("looks", "borne"),
    [
        pytest.param([(0, MISSING), (60, MISSING), (299, MISSING)], [True, True, True], id="for five minutes"),
        pytest.param([(0, MISSING), (300, MISSING)], [True, False], id="no longer"),
        pytest.param([(0, MISSING), (900, MISSING), (901, MISSING)], [True, False, False], id="a long interval"),
        pytest.param([(0, MISSING), (200, SHUT), (400, MISSING)], [True, False, True], id="in a row"),
        pytest.param([(0, MISSING), (200, LIMITED), (400, MISSING)], [True, False, True], id="a response is no miss"),
        pytest.param([(0, e.RevorConfigurationError("x"))], [False], id="unusable"),
        pytest.param([(900, MISSING), (0, MISSING), (300, MISSING)], [True, True, False], id="a clock set back"),
    ],
)
def test_a_missing_connection_is_borne_for_five_minutes(looks, borne):
    misses = Misses()
    assert [misses.bears_with(poll, now) for now, poll in looks] == borne


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
    wait_log(last_logged=worker.last_logged).waiting("It is shut.")
    assert len(told()) == 1
    # The mark goes into a trigger's row: it tells nothing.
    assert "shut" not in worker.last_logged
    wait_log().waiting("\ud800")


def trouble(told, *errors):
    log = wait_log()
    for error in errors:
        log.trouble(error)
    return [line.rpartition(": ")[2] for _, line in told()]


def test_another_reason_is_news_even_if_its_class_is_the_same(told):
    refused = [e.RevorConnectionError(f"No answer from https://revor.ai: [Errno 111] port {n}") for n in (5001, 5002)]
    expired = e.RevorConnectionError("No answer from https://revor.ai: certificate has expired (_ssl.c:1006)")
    assert trouble(told, *refused, expired, expired, refused[1]) == [
        "[Errno 111] port 5001",
        "certificate has expired (_ssl.c:1006)",
        "[Errno 111] port 5002",
    ]


def test_a_request_id_is_no_reason(told):
    ids = ("req_a1", "req_bc", "d0ff-77aa")
    assert len(trouble(told, *(e.RevorResponseError(f"12 bytes of text/html [{x}]", request_id=x) for x in ids))) == 1
