"""Cancelling the jobs of a task that a person has ended, on a worker or in the triggerer, as far as time allows."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_revor.exceptions import RevorError, RevorTransientError, RevorValueError
from airflow_provider_revor.hooks.outreach import CANCEL_REJECTED
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.threads import in_thread
from airflow_provider_revor.rules.pacing import Pace
from airflow_provider_revor.rules.pauses import asked_pause
from airflow_provider_revor.version_compat import task_state

if TYPE_CHECKING:
    from airflow_provider_revor.rules.kills import Place
    from airflow_provider_revor.triggers.xcoms import TaskXComs
    from airflow_provider_revor.version_compat import Log

#: Seconds for the jobs of a trigger: less than Airflow leaves its ``on_kill``.
TRIGGERER_GRACE = 25.0

# Requests at the same time. Each may take a while, and Revor's limit is kept by the pauses between them.
_AT_ONCE = 5
# Seconds between two looks at the task: its next try decides by itself about the jobs that are left.
_LOOK_EVERY = 2.0
# These concern one job; the next one may well be cancelled.
_OF_ONE_JOB = (*CANCEL_REJECTED, RevorValueError)


class Cancelling:
    """
    Cancel the jobs that have not begun, if a person has ended the task.

    :param revor_conn_id: The Airflow connection, of the type ``revor``.
    :param job_ids: The jobs, the most urgent first.
    :param task: The task instance.
    :param place: Where it waits.
    :param log: Where it is logged what became of the jobs.
    """

    def __init__(self, revor_conn_id: str, job_ids: Iterable[str], task: TaskXComs, place: Place, log: Log) -> None:
        self._revor_conn_id = revor_conn_id
        self._left = deque(job_ids)
        self._total = len(self._left)
        self._task = task
        self._place = place
        self._log = log
        self._counts = Counter[str]()
        self._pace = Pace()
        self._pause = self._next_request = self._next_look = 0.0
        self._state: str | None = None
        self._goes_on = False
        #: Whether a person has ended the task, as far as that was learned.
        self.killed = False

    async def run(self, seconds: float) -> None:
        """
        Cancel as many jobs as time allows, and log what became of them. It raises nothing.

        :param seconds: How long it may take.
        """
        trouble = None
        try:
            async with asyncio.timeout(seconds):
                await self._cancel_all()
        except TimeoutError:
            trouble = "there was no time for more"
        except ExceptionGroup as errors:
            trouble = _described(errors.exceptions[0])
        # Whatever Airflow raises where it cannot be asked: no job is cancelled that may have to go on.
        except Exception as e:
            trouble = _described(e)
        if self.killed:
            self._conclude(trouble or "the next try of the task has begun, and sees to them")
        elif trouble:
            self._log.warning("No outreach is cancelled: who has ended the task is not known: %s.", trouble)

    async def _cancel_all(self) -> None:
        await self._look()
        if not self._goes_on:
            self._log.info("No outreach is cancelled: in Airflow, the task is %s.", self._state)
        else:
            # Without retries of the hook's own: all slow down together.
            async with RevorHook.for_polling(self._revor_conn_id) as hook, asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, self._total)):
                    group.create_task(self._work(hook))

    async def _look(self) -> None:
        """Ask Airflow whether a person has ended the task; if not, or no longer, the jobs that are left are let be."""
        self._next_look = time.monotonic() + _LOOK_EVERY
        self._state = await in_thread(partial(task_state, **self._task.as_dict()))
        self._goes_on = self._place.ended_by_a_person(self._state)
        self.killed = self.killed or self._goes_on

    async def _work(self, hook: RevorHook) -> None:
        while self._left:
            await self._wait_for_turn()
            if not (self._goes_on and self._left):
                return
            job_id = self._left.popleft()
            try:
                job = await hook.acancel_outreach_job(job_id)
            except _OF_ONE_JOB as e:
                self._log.warning("Outreach job %s is not cancelled: %s", job_id, e)
            except RevorTransientError as e:
                self._left.append(job_id)
                self._pause = self._pace.after_rejection(asked_pause(e), hook.rate_limit)
                self._next_request = time.monotonic() + self._pause
            except BaseException:
                self._left.append(job_id)
                raise
            else:
                self._pause = self._pace.after_response(hook.rate_limit)
                self._counts["cancelled" if job.status == "cancelled" else "not"] += 1
                if self._total == 1:
                    self._log.info("%s.", job.label)

    async def _wait_for_turn(self) -> None:
        turn = max(time.monotonic(), self._next_request)
        self._next_request = turn + self._pause
        await asyncio.sleep(turn - time.monotonic())
        if time.monotonic() > self._next_look:
            await self._look()

    def _conclude(self, why: str) -> None:
        jobs = f"Outreach job {self._left[0]}" if self._total == 1 and self._left else f"{self._total:,} outreach jobs"
        if self._total > 1:
            self._log.info(
                "%s of %s are cancelled. %s have begun or ended.",
                f"{self._counts['cancelled']:,}",
                jobs,
                f"{self._counts['not']:,}",
            )
        if self._left:
            self._log.warning(
                "%s not cancelled: %s. `airflow revor cancel` cancels them; clearing the task cancels them, too, and "
                "sends again.",
                f"{jobs} is" if self._total == 1 else f"{len(self._left):,} are",
                why,
            )


def _described(error: BaseException) -> str:
    return f"{error}" if isinstance(error, RevorError) else f"{type(error).__name__}: {error}"
