"""What a gate and a job have in common while they wait in the triggerer."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
from triggers.waits import GATE, JOB, Polls, events, payload

from airflow_provider_revor import exceptions as e


@pytest.fixture(params=[pytest.param(GATE, id="gate"), pytest.param(JOB, id="job")])
def kind(request):
    return request.param


@pytest.fixture
def polls(monkeypatch, kind):
    return Polls(monkeypatch, kind)


def test_it_can_be_made_again_from_plain_json_without_secrets(connect, kind):
    connect()
    trigger = kind.wait(poke_interval=5.0, first_poll_at=1.5, deadline=9.5, silent_fail=True, last_logged="x")
    path, kwargs = trigger.serialize()
    assert path == f"{kind.trigger.__module__}.{kind.trigger.__name__}"
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert kind.trigger(**kwargs).serialize() == (path, kwargs)
    assert "canary" not in repr(trigger)


def test_each_argument_is_kept_and_serialized(kind):
    kwargs = {"deadline_status": "execution_timeout", "end_here": True, "push_xcoms": False, "first_poll_at": 3.5}
    assert kind.wait(**kwargs).serialize()[1].items() >= kwargs.items()
    with pytest.raises(TypeError):
        kind.wait(poke_intervall=5)
    with pytest.raises(TypeError):
        kind.trigger("job_1")


def test_it_sleeps_before_every_poll_never_less_than_asked_and_not_in_step(polls, kind):
    polls.answers = [kind.goes_on] * 50 + [kind.ends]
    payload(kind.wait())
    most, differ = kind.apart
    assert len(polls.naps) == polls.count == 51
    assert polls.naps[0] == 0
    assert all(40 <= nap <= 40 + most for nap in polls.naps[1:])
    assert len(set(polls.naps)) >= differ


@pytest.mark.parametrize(
    "fault",
    [e.RevorRateLimitError("x"), e.RevorServerError("x"), e.RevorConnectionError("x"), e.RevorResponseError("x")],
)
def test_what_heals_is_waited_out(polls, kind, fault):
    polls.answers = [fault, fault, kind.ends]
    assert payload(kind.wait())["status"] == "success"
    assert (polls.count, len(polls.naps)) == (3, 3)


def test_the_next_poll_is_not_before_retry_after_but_within_a_day(polls, kind):
    limited = e.RevorRateLimitError("limited", status_code=429, retry_after=300.0)
    polls.answers = [limited, e.RevorServerError("x", retry_after=10.0**11), kind.ends]
    payload(kind.wait())
    assert polls.naps[1] >= 300
    assert 86_400 <= polls.naps[2] < 100_000


def test_the_first_poll_waits_as_long_as_the_worker_says(polls, kind):
    polls.answers = [kind.ends]
    payload(kind.wait(first_poll_at=time.time() + 1_000))
    assert polls.naps[0] > 990


@pytest.mark.parametrize(
    "fault",
    [
        e.RevorAuthenticationError("x"),
        e.RevorPermissionError("x"),
        e.RevorConfigurationError("x"),
        e.RevorNotFoundError("x"),
        e.RevorValueError("x"),
    ],
)
def test_what_does_not_heal_ends_the_wait_with_its_own_class(polls, kind, fault):
    polls.answers = [kind.goes_on, fault]
    ended = payload(kind.wait())
    assert ended["status"] == "error"
    assert type(e.error_from_dict(ended["error"])) is type(fault)


def test_a_task_is_not_resumed_before_the_scheduler_knows_that_its_worker_deferred_it(polls, kind):
    polls.answers = [kind.ends]
    soon = time.time() + 1
    for first_poll_at, trigger_id, held in [(soon, 7, True), (soon, None, False), (None, 7, False)]:
        polls.naps.clear()
        trigger = kind.wait(first_poll_at=first_poll_at)
        trigger.trigger_id = trigger_id
        assert payload(trigger)["status"] == "success"
        assert any(nap > 9 for nap in polls.naps) is held


def test_a_connection_that_is_not_found_is_borne_for_five_minutes(polls, kind, monkeypatch):
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(time, "time", lambda: clock.now + sum(polls.naps))
    missing = e.RevorMissingConnectionError("x")
    polls.answers = [kind.goes_on, *4 * [missing], kind.goes_on, *4 * [missing], kind.ends]
    assert payload(kind.wait(poke_interval=60))["status"] == "success"
    polls.answers, polls.count = [kind.goes_on, missing], 0
    assert payload(kind.wait(poke_interval=60))["error"]["error"] == "RevorMissingConnectionError"
    assert 5 <= polls.count <= 7


def test_an_unusable_connection_is_the_end(connect, kind):
    connect(password="")
    assert payload(kind.wait())["error"]["error"] == "RevorConfigurationError"


@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), TimeoutError("bug")])
def test_what_nobody_foresaw_fails_the_trigger_instead_of_looping(polls, kind, bug):
    polls.answers = [bug]
    with pytest.raises(RuntimeError, match=f"A poll failed unexpectedly: {type(bug).__name__}: bug"):
        events(kind.wait(deadline=time.time() + 600))


def test_silent_fail_waits_out_what_it_would_when_poking(polls, kind):
    polls.answers = [e.RevorNotFoundError("x"), ZeroDivisionError("x"), kind.ends]
    assert payload(kind.wait(silent_fail=True))["status"] == "success"
    polls.answers, polls.count = [e.RevorAuthenticationError("x"), kind.ends], 0
    assert payload(kind.wait(silent_fail=True))["status"] == "error"


def test_the_deadline_ends_the_wait_even_between_polls(kind):
    now = time.time()
    far = {"poke_interval": 3600, "first_poll_at": now + 3600}
    assert payload(kind.wait(**far, deadline=now + 0.05)) == {"status": "timeout"}
    assert payload(kind.wait(**far, deadline=now - 5)) == {"status": "timeout"}
    running_out = kind.wait(**far, deadline=now, deadline_status="execution_timeout")
    assert payload(running_out) == {"status": "execution_timeout"}


def test_an_interval_of_0_still_pauses(polls, kind):
    polls.answers = [kind.goes_on] * 5 + [kind.ends]
    payload(kind.wait(poke_interval=0))
    # A gate's first pause counts from the look that it began with.
    assert polls.naps[1] > 0
    assert all(nap >= 0.1 for nap in polls.naps[2:])
