"""A task that starts in the triggerer and measures how late its event loop runs what is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, StartTriggerArgs, TriggerEvent

PAUSE = 0.05


class LagProbe(BaseTrigger):
    """
    Sleep again and again, and write down by how much each sleep was too long.

    :param path: the file: a line for each sleep, with when it ended and how late that was, in seconds.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "lag_probe.LagProbe", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        with open(self.path, "a", buffering=1) as file:
            while True:
                due = time.monotonic() + PAUSE
                await asyncio.sleep(PAUSE)
                file.write(f"{time.time():.3f} {time.monotonic() - due:.4f}\n")
        yield TriggerEvent({})


class LagProbeOperator(BaseOperator):
    """
    Run a :class:`LagProbe`, without a worker.

    :param path: the file.
    """

    start_from_trigger = True

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls="lag_probe.LagProbe", trigger_kwargs={"path": path}, next_method="execute"
        )
