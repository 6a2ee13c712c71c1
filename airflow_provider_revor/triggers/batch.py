"""Waiting for the ends of a whole batch of outreach jobs: one trigger, one client, few requests."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger

from airflow_provider_revor.api.errors import lacks_endpoint
from airflow_provider_revor.exceptions import (
    RevorAuthenticationError,
    RevorError,
    RevorNotFoundError,
    RevorPermissionError,
    RevorRateLimitError,
)
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.rules.batch import End, Queue, pack, unpack
from airflow_provider_revor.rules.outcomes import JOB_UNKNOWN, Row, by_urgency
from airflow_provider_revor.rules.pacing import Pace
from airflow_provider_revor.rules.pauses import MIN_POKE_INTERVAL, Misses, asked_pause
from airflow_provider_revor.tasks.progress import ProgressLog, WaitLog
from airflow_provider_revor.triggers.base import DiscreetEvent, KillableWait
from airflow_provider_revor.triggers.xcoms import TaskXComs

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

    from airflow_provider_revor.api.limits import RateLimit
    from airflow_provider_revor.rules.pauses import DeadlineStatus

#: The XComs that the task leaves for its trigger: a row for each message, and which jobs have ended since.
JOBS, ENDED = "jobs", "jobs_ended"

# What has ended is written after so many seconds, or so many ends: after a restart, so much is asked for again.
_SAVE_EVERY, _MOST_UNSAVED = 30.0, 100
# Seconds for which a reading of the Airflow connection serves: each takes several times what a look itself takes.
_READING_LASTS = 10.0
# Rejections of the API key in a row, the last one with a connection that was just read: it may have been rotated.
_REJECTED_FOR_GOOD = 2
_LONGEST_BACKOFF = 600.0


class OutreachBatchTrigger(KillableWait, BaseTrigger):
    """
    Wait until all jobs of a batch have ended. It only reads from Revor, unless it is to cancel the jobs.

    A job is asked for when it is due: some time after it may begin, then after growing pauses. Which jobs have ended is
    kept in an XCom of the task, so a triggerer that restarts does not ask for them again.

    It fires once, with a payload that :class:`.OutreachBatchOperator` understands: ``ends``, packed, and a ``status``
    of ``success``; ``error``, with the ``error``; ``timeout``; ``execution_timeout``; or ``waiting``, when it is time
    to tell people, with the ``deadline`` and its status.

    Source: ``GET /api/v1/outreach/jobs/{id}`` — Check an Outreach Job, ``POST /api/v2/jobs/{id}/cancel``.

    :param instance: The task instance whose XCom ``jobs`` holds the jobs: ``dag_id``, ``run_id``, ``task_id`` and
        ``map_index``.
    :param wait: The name of this wait, which tells its own notes from those of an earlier try.
    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``.
    :param poke_interval: Seconds from when a job may begin to the first look at it, and to the second; each further
        pause is twice as long, up to an hour. Default: 60.
    :param max_requests_per_minute: The most requests a minute, for all jobs together. Default: 60.
    :param first_poll_at: When the first look may be, in seconds since the epoch; None for at once.
    :param deadline: When to give up, in seconds since the epoch; None for never.
    :param deadline_status: What the payload says when it gives up: ``timeout`` or ``execution_timeout``.
    :param notify_at: As for :class:`.TaskWait`. Default: None.
    :param cancel_on_kill: As for :class:`.KillableWait`. Default: False.
    """

    silent_fail = False

    def __init__(
        self,
        *,
        instance: dict[str, Any],
        wait: str,
        revor_conn_id: str = "revor_default",
        poke_interval: float = 60.0,
        max_requests_per_minute: float = 60.0,
        first_poll_at: float | None = None,
        deadline: float | None = None,
        deadline_status: DeadlineStatus = "timeout",
        notify_at: float | None = None,
        cancel_on_kill: bool = False,
    ) -> None:
        super().__init__()
        self.instance = instance
        self.wait = wait
        self.revor_conn_id = revor_conn_id
        self.poke_interval = poke_interval
        self.max_requests_per_minute = max_requests_per_minute
        self.first_poll_at = first_poll_at
        self.deadline = deadline
        self.deadline_status = deadline_status
        self.notify_at = notify_at
        self.cancel_on_kill = cancel_on_kill
        self._rows: list[Row] | None = None
        self._xcoms = TaskXComs(**instance)
        self._ends: dict[int, End] = {}
        self._pace = Pace(max_requests_per_minute)
        self._errors = 0
        self._misses = Misses()
        self._saved_at = time.monotonic()
        self._unsaved = 0
        self._hook: RevorHook | None = None
        self._read_at = 0.0

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once all jobs have ended, or can no longer be waited for."""
        payload = await self.until_killed(self._wait())
        yield DiscreetEvent(payload={"ends": pack(self._ends), **payload})

    async def _wait(self) -> dict[str, Any]:
        rows = self._rows = await self._read()
        if rows is None:
            return self.failed(RevorError(f"The XCom {JOBS!r} of the task is gone. Another try sends nothing twice."))
        queue = self._queue(rows)
        counts = Counter(self._outcome(position, row) for position, row in enumerate(rows))
        progress = ProgressLog(self.log, len(rows), ("sent", "skipped", "failed"))
        wait_log = WaitLog(self.log, "how the batch's jobs stand")
        try:
            while len(queue):
                left = queue.next_due - time.time()
                progress.update(counts, time.monotonic(), left if left > 0 else None)
                if left > 0:
                    # Not in one piece: the line above may be due before.
                    await asyncio.sleep(min(left, 60))
                    continue
                position = queue.pop()
                pause = await self._look(position, rows[position], queue, wait_log)
                counts = self._recount(counts, position, rows[position])
                await self._save()
                await asyncio.sleep(pause)
        except RevorError as e:
            return self.failed(e)
        return {"status": "success"}

    def _queue(self, rows: list[Row]) -> Queue:
        queue, now = Queue(max(self.poke_interval, MIN_POKE_INTERVAL)), time.time()
        for position, row in enumerate(rows):
            if row.waits and position not in self._ends:
                queue.add(position, row.begins_at, now)
        return queue

    async def _look(self, position: int, row: Row, queue: Queue, wait_log: WaitLog) -> float:
        """Ask for one job, and return the seconds until the next request."""
        hook = self._hook_for(row)
        try:
            job = await hook.aget_outreach_job(row.job_id or "")
        except RevorError as e:
            if isinstance(e, RevorNotFoundError) and not lacks_endpoint(e):
                self._end(position, End(JOB_UNKNOWN, e.code))
                self._errors = 0
                return self._pace.after_response(hook.rate_limit)
            self._errors += 1
            self._hook = None
            if not self._passes(e):
                raise
            wait_log.trouble(e)
            pause = self._pause_after(e, hook.rate_limit)
            queue.postpone(position, time.time() + max(pause, self.poke_interval))
            return pause
        self._errors = 0
        self._misses.bears_with(job, time.time())
        if job.ended:
            self._end(position, End.of(job))
        else:
            queue.again(position, job, time.time())
        return self._pace.after_response(hook.rate_limit)

    def _hook_for(self, row: Row) -> RevorHook:
        """Return a hook that reads the connection again after some seconds or an error, so that a new key is used."""
        hook, now = self._hook, time.monotonic()
        if hook is None or now >= self._read_at + _READING_LASTS:
            hook, self._read_at = RevorHook.for_polling(self.revor_conn_id), now
        hook.api_version, self._hook = row.api_version, hook
        return hook

    def _passes(self, error: RevorError) -> bool:
        """Return whether what a look met is waited out."""
        if self._misses.bears_with(error, time.time()):
            return True
        if isinstance(error, RevorAuthenticationError | RevorPermissionError):
            return self._errors < _REJECTED_FOR_GOOD
        return self.heals(error)

    def _pause_after(self, error: RevorError, rate_limit: RateLimit | None) -> float:
        asked = asked_pause(error)
        if isinstance(error, RevorRateLimitError):
            return self._pace.after_rejection(asked, rate_limit)
        # The first one may be of this job alone.
        backoff = 0 if self._errors == 1 else min(self.poke_interval * 2 ** min(self._errors - 2, 30), _LONGEST_BACKOFF)
        return max(asked, backoff, self._pace.after_response(None))

    def _end(self, position: int, end: End) -> None:
        self._ends[position] = end
        self._unsaved += 1

    def _outcome(self, position: int, row: Row) -> str:
        end = self._ends.get(position)
        return Row(status=end.status).outcome if end else row.outcome

    def _recount(self, counts: Counter[str], position: int, row: Row) -> Counter[str]:
        if position in self._ends:
            counts[row.outcome] -= 1
            counts[self._outcome(position, row)] += 1
        return counts

    @property
    def _what_goes_on(self) -> str:
        return "The batch's jobs go on"

    async def _jobs_to_cancel(self) -> list[str]:
        rows = self._rows or await self._read() or []
        left = [row for position, row in enumerate(rows) if row.waits and position not in self._ends]
        return [row.job_id or "" for row in by_urgency(left)]

    async def _read(self) -> list[Row] | None:
        jobs = await self._xcoms.aget(JOBS)
        if not isinstance(jobs, list):
            return None
        ended = await self._xcoms.aget(ENDED)
        # One that was cancelled late may have written the notes of an earlier try.
        if isinstance(ended, dict) and ended.get("wait") == self.wait:
            self._ends = unpack(ended["ends"])
        return [Row.from_dict(job) for job in jobs]

    async def _save(self) -> None:
        due = self._unsaved >= _MOST_UNSAVED or time.monotonic() >= self._saved_at + _SAVE_EVERY
        if not (self._unsaved and due):
            return
        self._saved_at, self._unsaved = time.monotonic(), 0
        try:
            await self._xcoms.aset(ENDED, {"wait": self.wait, "ends": pack(self._ends)})
        # Whatever Airflow or an XCom backend raises: it costs requests after a restart, and nothing else.
        except Exception as e:
            self.log.warning("Which jobs have ended is not kept across a restart: %s: %s", type(e).__name__, e)
