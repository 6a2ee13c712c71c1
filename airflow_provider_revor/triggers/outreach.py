"""Waiting for the end of an outreach job in the triggerer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger

from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.progress import WaitLog, job_question
from airflow_provider_revor.rules.pauses import Misses, first_pause, job_pause
from airflow_provider_revor.triggers.base import TaskWait
from airflow_provider_revor.triggers.polling import polls

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

    from airflow_provider_revor.api.jobs import OutreachJob


@dataclass(kw_only=True, eq=False, repr=False)
class OutreachJobTrigger(TaskWait, BaseTrigger):
    """
    Wait until an outreach job has ended. It only ever reads.

    It fires once. With ``end_here`` it pushes the dict of a job that has succeeded, and ends the task; else it fires
    with a payload that :class:`.OutreachJobSensor` and the operators understand: ``job_id``, and a ``status`` of
    ``success`` or ``failed``, with the ``job``; ``error``, with the ``error``; ``timeout``; or ``execution_timeout``.
    What heals by itself is waited out, and a connection that Airflow does not find for five minutes; anything else
    ends the wait as an error. A scheduled job is looked at at its time, and once an hour before.

    Source: ``GET /api/v1/outreach/jobs/{id}`` — Check an Outreach Job.

    :param job_id: The job.
    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``.

    The other arguments are those of :class:`.TaskWait`.
    """

    job_id: str
    revor_conn_id: str = "revor_default"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once the job has ended, or can no longer be waited for."""
        payload = await self.in_time(self._wait())
        yield await self.event({"job_id": self.job_id, **payload}, {"return_value": payload.get("job")})

    async def on_kill(self) -> None:
        """Log that the job goes on. Airflow 3.3+ calls it when a person ends the task."""
        self.log.warning("Outreach job %s goes on in Revor: ending a task leaves it as it is.", self.job_id)

    async def _wait(self) -> dict[str, Any]:
        wait_log, misses = WaitLog(self.log, job_question(self.job_id), self.last_logged), Misses()
        first = first_pause(self.first_poll_at, self.poke_interval, time.time())
        async for poll in polls(self._look, self._pause, first):
            missed = misses.bears_with(poll, time.time())
            if isinstance(poll, Exception):
                if not missed and not self.heals(poll):
                    return self.failed(poll)
                wait_log.trouble(poll)
            elif poll.ended:
                self.log.info("%s", poll.ending)
                return {"status": "failed" if poll.failed else "success", "job": poll.as_dict()}
            else:
                wait_log.waiting(poll.standing)
        raise RuntimeError("The stream of polls has ended, which it never does by itself.")

    async def _look(self) -> OutreachJob:
        async with RevorHook.for_polling(self.revor_conn_id) as hook:
            return await hook.aget_outreach_job(self.job_id)

    def _pause(self, poll: OutreachJob | Exception) -> float:
        return job_pause(poll, self.poke_interval, time.time())
