"""The rule of sending, as a table."""

from __future__ import annotations

import pytest
from factories import job

from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.rules.sending import Attempt, Found, Get, Next, Post, Try, decide, find_or_send

LIVE = {"status": "running"}
DONE = {"status": "succeeded"}
MAY_HELP = {"status": "failed", "error": {"code": "busy", "retryable": True}}
FOR_GOOD = {"status": "failed", "error": {"code": "unknown", "retryable": False}}
CANCELLED = {"status": "cancelled", "error": None}
KEEP, SEND, FAIL = Next.KEEP, Next.SEND, Next.FAIL


def found(ended_at="2026-01-01T00:00:00Z", began=1_800_000_000.0, elapsed=0.0, **changes):
    item = job(finished_at=ended_at, **changes)
    return Found(OutreachJob(**item), began, elapsed)


@pytest.mark.parametrize(
    ("how", "first_and_old", "first_and_new", "retry_and_old", "retry_and_new"),
    [
        pytest.param(LIVE, KEEP, KEEP, KEEP, KEEP, id="goes-on"),
        pytest.param(DONE, KEEP, KEEP, KEEP, KEEP, id="succeeded"),
        pytest.param(MAY_HELP, SEND, FAIL, SEND, FAIL, id="may-help"),
        pytest.param(FOR_GOOD, SEND, FAIL, FAIL, FAIL, id="for-good"),
        pytest.param(CANCELLED, SEND, FAIL, FAIL, FAIL, id="cancelled"),
    ],
)
def test_what_a_job_means_for_a_try(how, first_and_old, first_and_new, retry_and_old, retry_and_new):
    one = OutreachJob(**job(**how))
    assert decide(one, first_try=True, ended_before=True) is first_and_old
    assert decide(one, first_try=True, ended_before=False) is first_and_new
    assert decide(one, first_try=False, ended_before=True) is retry_and_old
    assert decide(one, first_try=False, ended_before=False) is retry_and_new


def recorded(number, job_id, max_tries=1):
    return Attempt(number, job_id, "key", "message", max_tries)


@pytest.mark.parametrize(
    ("this_try", "record", "first"),
    [
        pytest.param(Try(1, 0, 0), None, True, id="first"),
        pytest.param(Try(1, 3, 3), None, True, id="first-of-four"),
        pytest.param(Try(2, 3, 3), None, False, id="retry"),
        pytest.param(Try(2, 1, 0), None, True, id="cleared-without-retries"),
        pytest.param(Try(3, 5, 3), None, True, id="cleared-after-two"),
        pytest.param(Try(4, 5, 3), None, False, id="retry-after-a-clear"),
        pytest.param(Try(2, 3, 2), recorded(1, "j", 3), False, id="retry-with-fewer-retries-in-the-dag-file"),
        pytest.param(Try(2, 1, 0), recorded(1, "j", 1), False, id="cleared-with-fewer-retries-in-the-dag-file"),
        pytest.param(Try(3, 2, 0), recorded(1, "j", 1), True, id="and-cleared-once-more"),
        pytest.param(Try(3, 2, 0, rescheduled=True), recorded(1, "j", 1), True, id="rescheduled-before-it-sent"),
        pytest.param(Try(3, 2, 0, rescheduled=True), None, False, id="rescheduled-without-a-record"),
    ],
)
def test_which_try_is_the_first_since_a_clear(this_try, record, first):
    assert this_try.is_first_after(record) is first


@pytest.mark.parametrize(
    ("this_try", "nothing"),
    [
        pytest.param(Try(1, 0, 0), True, id="first-try"),
        pytest.param(Try(2, 1, 0), False, id="second-try"),
        pytest.param(Try(1, 0, 0, 0, mapped=True), True, id="mapped-in-a-run-that-was-never-cleared"),
        pytest.param(Try(1, 0, 0, 1, mapped=True), False, id="mapped-after-a-clear"),
        pytest.param(Try(1, 0, 0, None, mapped=True), False, id="mapped-where-clears-are-not-counted"),
    ],
)
def test_whether_anything_can_have_been_sent_before(this_try, nothing):
    assert this_try.nothing_before is nothing


def steps(record, responses, *, nothing_before=False, **kwargs):
    """Return the steps that a try takes, and the attempt that it ends with."""
    lead, taken = find_or_send(record, nothing_before=nothing_before, try_number=2, **kwargs), []
    step = next(lead)
    try:
        for response in responses:
            taken.append(step)
            step = lead.send(response)
    except StopIteration as end:
        return taken, end.value[0]
    raise AssertionError("It goes on.")


@pytest.mark.parametrize(
    ("record", "responses", "first_try", "taken", "ends_with"),
    [
        pytest.param(None, [found(**LIVE)], True, [Post(1)], 1, id="nothing-known"),
        pytest.param(recorded(3, "j"), [found(**LIVE)], True, [Get("j")], 3, id="recorded-and-goes-on"),
        pytest.param(recorded(3, None), [found(**LIVE)], False, [Post(3)], 3, id="cut-short-before-the-response"),
        pytest.param(recorded(1, "j"), [found(**CANCELLED)], False, [Get("j")], 1, id="retry-after-a-cancel"),
        pytest.param(
            recorded(1, "j"),
            [found(**CANCELLED), found(**LIVE)],
            True,
            [Get("j"), Post(2)],
            2,
            id="clear-after-a-cancel",
        ),
        pytest.param(
            None,
            [found(**FOR_GOOD), found("2026-01-02T00:00:00Z", **FOR_GOOD), found(**DONE)],
            True,
            [Post(1), Post(2), Post(3)],
            3,
            id="two-old-attempts",
        ),
        pytest.param(
            None,
            [found(**FOR_GOOD), found("2026-01-01T00:00:04Z", **FOR_GOOD)],
            True,
            [Post(1), Post(2)],
            2,
            id="two-that-ended-together-may-both-be-new",
        ),
        pytest.param(
            None,
            [found(**FOR_GOOD), found("2026-01-01T00:01:00Z", elapsed=60, **FOR_GOOD)],
            True,
            [Post(1), Post(2)],
            2,
            id="two-that-ended-within-a-slow-try-may-both-be-new",
        ),
        pytest.param(
            recorded(1, "j"),
            [found(**FOR_GOOD), found("2026-01-02T00:00:00Z", **FOR_GOOD)],
            True,
            [Get("j"), Post(2)],
            2,
            id="with-a-record-one-key-is-enough",
        ),
        pytest.param(None, [found("1970-01-01T00:00:00Z", **FOR_GOOD)], True, [Post(1)], 1, id="no-real-end"),
        pytest.param(None, [found(began=None, **FOR_GOOD)], True, [Post(1)], 1, id="no-clock"),
        pytest.param(None, [found("soon", **FOR_GOOD)], True, [Post(1)], 1, id="no-end"),
    ],
)
def test_the_steps_of_a_try(record, responses, first_try, taken, ends_with):
    assert steps(record, responses, first_try=first_try) == (taken, ends_with)


@pytest.mark.parametrize("first_try", [True, False])
@pytest.mark.parametrize("end", [FOR_GOOD, MAY_HELP], ids=["for-good", "may-help"])
def test_a_job_that_this_very_try_recorded_is_followed_by_no_other(first_try, end):
    taken = steps(recorded(1, "j"), [found(**end)], first_try=first_try, recorded_now=True)
    assert taken == ([Get("j")], 1)


def test_a_peer_whose_jobs_are_all_old_is_not_asked_for_ever():
    answers = [found(f"2026-01-01T00:{minute:02}:00Z", **FOR_GOOD) for minute in range(60)]
    taken, attempt = steps(None, answers, first_try=True)
    assert (len(taken), attempt) == (23, 23)


def test_where_nothing_can_have_been_sent_before_no_clock_is_asked():
    assert steps(None, [found(**FOR_GOOD)], first_try=True, nothing_before=True) == ([Post(1)], 1)
