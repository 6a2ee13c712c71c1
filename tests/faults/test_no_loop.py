"""No loop without a pause: whatever happens, a gate asks at most once per interval, and keeps Revor's Retry-After."""

from __future__ import annotations

import time
from itertools import cycle, pairwise

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from faults import stage as ask
from faults.cells import WAITS
from faults.table import ROWS
from hypothesis import given, settings
from hypothesis import strategies as st
from modes import MODES

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.rules.pauses import LONGEST_PAUSE, MIN_POKE_INTERVAL

INTERVALS = 1_000
# Seconds: the clock's fractions, and a thousand times the time that a poll itself takes.
EPSILON = 0.01
HEALING = [row for row in ROWS if row.wait.requests == 4 and "accounts" in row.kinds]


def outcome(stage, row):
    """Return what a poll comes to while there is this fault: by a real socket, once."""
    stage.set_up(row)
    found, error = ask.caught(lambda: ask.hook_sync(stage))
    return error or found


_seen: set[str] = set()


class Replay:
    """Polls that come to what is given, over and over; and when they were."""

    def __init__(self, monkeypatch, outcomes):
        self.outcomes = cycle(outcomes)
        self.polls = []

        async def apoll(hook):
            return self.poll()

        monkeypatch.setattr(RevorHook, "list_connect_accounts", lambda hook: self.poll())
        monkeypatch.setattr(RevorHook, "alist_connect_accounts", apoll)

    def poll(self):
        came_to = next(self.outcomes)
        self.polls.append((time.monotonic(), came_to))
        if isinstance(came_to, Exception):
            raise came_to
        return came_to

    def pauses(self):
        for (before, came_to), (after, _) in pairwise(self.polls):
            yield after - before, getattr(came_to, "retry_after", None) or 0


def wait_out(mode, stage, interval, timeout):
    """Wait until the time is up; nothing here opens the gate."""
    with pytest.raises(AirflowSensorTimeout):
        ask.gate(mode, stage, poke_interval=interval, timeout=timeout)


@pytest.mark.parametrize("row", HEALING, ids=lambda row: row.slug)
def test_a_fault_that_lasts_for_1000_intervals_is_asked_for_at_most_once_in_each(stage, monkeypatch, row):
    came_to = outcome(stage, row)
    what = str([getattr(came_to, name, None) for name in ("__class__", "status_code", "retry_after")])
    if what in _seen:
        # A wait goes by no more than that.
        return
    _seen.add(what)
    timeout = INTERVALS * ask.INTERVAL
    for mode in MODES:
        stage.clock.slept = 0.0
        replay = Replay(monkeypatch, [came_to])
        wait_out(mode, stage, ask.INTERVAL, timeout)
        # A gate that pokes looks once more when the time is up.
        assert 1 <= len(replay.polls) <= INTERVALS + 2
        assert replay.polls[-1][0] - replay.polls[0][0] <= timeout + ask.INTERVAL
        assert all(pause >= ask.INTERVAL - EPSILON for pause, _ in replay.pauses())
        if row.wait == WAITS and not getattr(came_to, "retry_after", None):
            # Nor does it fall asleep.
            assert len(replay.polls) >= INTERVALS - 20


CLASSES = [e.RevorRateLimitError, e.RevorServerError, e.RevorConnectionError, e.RevorResponseError]
faults = st.just([]) | st.builds(
    lambda cls, seconds: cls("x", status_code=429, retry_after=seconds),
    st.sampled_from(CLASSES),
    st.none() | st.floats(0, 10.0**12) | st.floats(0, 200),
)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=40, deadline=None)
@given(
    outcomes=st.lists(faults, min_size=1, max_size=20),
    interval=st.sampled_from([0, 0.5, 30, 60, 3600]),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_whatever_faults_follow_each_other_there_is_a_pause_between_polls(mode, outcomes, interval, jitter):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", '{"conn_type": "revor", "password": "sk-revor-canary"}')
        stage = ask.Stage(monkeypatch, lambda **_: None)
        monkeypatch.setattr("random.random", lambda: jitter)
        replay = Replay(monkeypatch, outcomes)
        least = max(interval, MIN_POKE_INTERVAL)
        wait_out(mode, stage, interval, timeout=50 * least)
    pauses = list(replay.pauses())
    assert len(replay.polls) <= 52
    assert all(pause >= least - EPSILON for pause, _ in pauses)
    # When the time is up, a gate that pokes looks once more.
    assert all(pause >= min(asked, LONGEST_PAUSE) - EPSILON for pause, asked in pauses[:-1])
