from __future__ import annotations

import json

import pytest
from factories import job
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.rules.batch import End, Queue, pack, unpack

ends = st.builds(End, st.sampled_from(["succeeded", "failed"]), st.sampled_from([None, "a", "b"]), st.booleans())


@given(st.dictionaries(st.integers(0, 9_999), ends, max_size=50))
def test_ends_survive_packing(some):
    assert unpack(json.loads(json.dumps(pack(some)))) == some


def test_the_ends_of_ten_thousand_jobs_are_small():
    sent, failed = End("succeeded"), End("failed", "no_mailbox")
    assert pack(dict.fromkeys(range(10_000), sent)) == [["succeeded", None, False, "0-9999"]]
    mixed = {position: failed if position % 10 == 0 else sent for position in range(10_000)}
    assert len(json.dumps(pack(mixed))) < 20_000


def test_no_ends_are_none():
    assert unpack(None) == unpack(pack({})) == {}


@pytest.mark.parametrize(
    ("begins_at", "due"), [pytest.param(None, 160, id="at-once"), pytest.param(5000, 5060, id="scheduled")]
)
def test_the_first_look_is_some_time_after_the_job_may_begin(begins_at, due):
    queue = Queue(60)
    queue.add(0, begins_at, now=100)
    assert queue.next_due == due


def test_pauses_grow_up_to_an_hour():
    queue, now, pauses = Queue(60), 0.0, []
    queue.add(0, None, now)
    for _ in range(10):
        pauses.append(queue.next_due - now)
        now = queue.next_due
        queue.again(queue.pop(), OutreachJob("job_1", "running"), now)
    assert pauses == [60, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_job_that_is_rescheduled_is_not_looked_at_before_its_time():
    queue, begins_at = Queue(60), 1_767_258_000  # 2026-01-01T09:00:00Z
    queue.add(7, None, now=begins_at - 1000)
    queue.again(queue.pop(), OutreachJob(**job(status="scheduled")), now=begins_at - 900)
    assert queue.next_due == begins_at + 60


def test_what_is_due_first_comes_first():
    queue = Queue(1)
    for position, begins_at in enumerate([30, 10, 20]):
        queue.add(position, begins_at, now=0)
    assert [queue.pop() for _ in range(3)] == [1, 2, 0]


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        pytest.param({}, End("succeeded"), id="succeeded"),
        pytest.param(
            {"status": "failed", "error": {"code": "busy", "retryable": True}}, End("failed", "busy", True), id="busy"
        ),
        pytest.param({"status": "cancelled"}, End("cancelled", "cancelled"), id="cancelled"),
        pytest.param({"status": "failed", "error": {"code": "a\nb"}}, End("failed", "a b"), id="one-line"),
    ],
)
def test_the_end_of_a_job(changes, end):
    assert End.of(OutreachJob(**job(**changes))) == end
