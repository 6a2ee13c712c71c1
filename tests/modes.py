"""The three ways in which a sensor waits, played by a clock that nobody waits for."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any
from unittest.mock import MagicMock

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, BaseSensorOperator, TaskDeferred

# Read once: a test may set several clocks, one after the other.
wall, steady, yield_to_others = time.time, time.monotonic, asyncio.sleep


class Clock:
    """
    A clock that sleeping moves, in no time.

    :param start: When it begins, in seconds since the epoch; None for a clock by which real time goes on besides.
    """

    def __init__(self, monkeypatch: Any, start: float | None = None) -> None:
        self._awake = (lambda: start) if start is not None else wall
        self.slept = 0.0
        # Seconds by which Airflow starts a rescheduled task late.
        self.scheduler_delay = 0.0
        # When Airflow ends a poking task, and a trigger its wait.
        self.killed_at = self.deadline = float("inf")
        self.start = datetime.fromtimestamp(self.now, UTC)

        def nap(seconds: float) -> None:
            # A worker keeps execution_timeout by a signal.
            if self.now + seconds > self.killed_at:
                self.now = self.killed_at
                raise AirflowTaskTimeout
            self.slept += max(seconds, 0)

        async def anap(seconds: float, result: Any = None) -> Any:
            self.slept += max(min(seconds, self.deadline + 0.01 - self.now), 0)
            # The event loop has the same clock: a deadline that is over ends the wait first.
            await yield_to_others(0)
            return await yield_to_others(0, result)

        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(time, "monotonic", lambda: self.now if start is not None else steady() + self.slept)
        monkeypatch.setattr(time, "sleep", nap)
        monkeypatch.setattr(asyncio, "sleep", anap)
        airflow = sys.modules[BaseSensorOperator.__module__]
        monkeypatch.setattr(airflow.timezone, "utcnow", lambda: datetime.fromtimestamp(self.now, UTC))
        monkeypatch.setattr(airflow, "_orig_start_date", lambda **_: self.start, raising=False)

    @property
    def now(self) -> float:
        return self._awake() + self.slept

    @now.setter
    def now(self, moment: float) -> None:
        self.slept = moment - self._awake()

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return self.now - self.start.timestamp()

    def ti(self, **attributes: Any) -> MagicMock:
        """A task instance that began when the clock did."""
        return MagicMock(max_tries=0, get_first_reschedule_date=lambda context: self.start, **attributes)


def by_poking(task, context, clock):
    if task.execution_timeout:
        clock.killed_at = clock.now + task.execution_timeout.total_seconds()
    return task.execute(context)


def by_rescheduling(sensor, context, clock):
    sensor.mode = "reschedule"
    while True:
        try:
            # Each time in another process, which knows nothing of the ones before.
            return copy.deepcopy(sensor).execute(context)
        except Exception as rescheduled:
            if not hasattr(rescheduled, "reschedule_date"):
                raise
            clock.now = max(clock.now, rescheduled.reschedule_date.timestamp()) + clock.scheduler_delay


def by_deferring(task, context, clock):
    task.deferrable = True
    run = partial(task.execute, context)
    while True:
        try:
            return run()
        except TaskDeferred as deferred:
            trigger, method = deferred.trigger, deferred.method_name
        _, kwargs = trigger.serialize()
        assert json.loads(json.dumps(kwargs)) == kwargs
        clock.deadline = min(moment for moment in (trigger.deadline, trigger.notify_at) if moment is not None)
        payload = asyncio.run(_first_event(type(trigger)(**kwargs))).payload
        assert json.loads(json.dumps(payload)) == payload
        run = partial(task.resume_execution, method, {"event": payload}, context)


async def _first_event(trigger):
    return await anext(aiter(trigger.run()))


MODES = {"poke": by_poking, "reschedule": by_rescheduling, "deferred": by_deferring}
