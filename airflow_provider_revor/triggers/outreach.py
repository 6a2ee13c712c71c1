"""Waiting for the end of an outreach job in the triggerer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger

from airflow_provider_revor.api.jobs import job_from_dict
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.metrics import count_job
from airflow_provider_revor.rules.pauses import Misses, first_pause, job_pause
from airflow_provider_revor.tasks.progress import WaitLog, job_question
from airflow_provider_revor.triggers.base import DiscreetEvent, KillableWait
from airflow_provider_revor.triggers.polling import polls

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

    from airflow_provider_revor.api.jobs import OutreachJob


@dataclass(kw_only=True, eq=False, repr=False)
class OutreachJobTrigger(KillableWait, BaseTrigger):
    """
    Wait until an outreach job has ended. It only reads, unless it is to cancel the job.

    It fires once. With ``end_here`` it pushes the dict of a job that has succeeded, and ends the task; else it fires
    with a payload that :class:`.OutreachJobSensor` and the operators understand: ``job_id``, and a ``status`` of
    ``success`` or ``failed``, with the ``job``; ``error``, with the ``error``; ``timeout`` or ``execution_timeout``,
    with the last ``reasons``; or ``waiting``, when it is time to tell people, with the ``reasons`` and what the next
    trigger needs. What heals by itself is waited out, and a connection that Airflow does not find for five minutes;
    anything else ends the wait as an error. A scheduled job is looked at at its time, and once an hour before.

    Source: ``GET /api/v1/outreach/jobs/{id}`` — Check an Outreach Job, ``POST /api/v2/jobs/{id}/cancel``.

    :param job_id: The job.
    :param api_version: The API version that the job was made by; None for what the connection says. Default: None.

    The other arguments are those of :class:`.TaskWait` and :class:`.KillableWait`.
    """

    job_id: str
    api_version: str | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire once the job has ended, or can no longer be waited for."""
        wait_log = WaitLog(self.log, job_question(self.job_id), self.last_logged, self.log_every)
        payload = await self.until_killed(self._wait(wait_log), wait_log)
        if payload["status"] == "waiting":
            payload["api_version"] = self.api_version
        event = await self.event({"job_id": self.job_id, **payload}, {"return_value": payload.get("job")})
        if not isinstance(event, DiscreetEvent):
            # The task ends here: no worker counts its message.
            count_job(self.revor_conn_id, job_from_dict(payload["job"]))
        yield event

    async def _wait(self, wait_log: WaitLog) -> dict[str, Any]:
        misses = Misses()
        first = first_pause(self.first_poll_at, self.poke_interval, time.time())
        async for poll in polls(self._look, self._pause, first):
            missed = misses.bears_with(poll, time.time())
            if isinstance(poll, Exception):
                if not missed and not self.heals(poll):
                    return self.failed(poll)
                wait_log.trouble(poll)
            elif poll.ended:
                # A failure is logged by the worker that raises it.
                if not poll.failed:
                    self.log.info("%s", poll.ending)
                return {"status": "failed" if poll.failed else "success", "job": poll.as_dict()}
            else:
                wait_log.waiting(poll.standing)
            wait_log.pausing(self._pause(poll), self.deadline)
        raise RuntimeError("The stream of polls has ended, which it never does by itself.")

    async def _look(self) -> OutreachJob:
        async with RevorHook.for_polling(self.revor_conn_id, self.api_version) as hook:
            return await hook.aget_outreach_job(self.job_id)

    @property
    def _what_goes_on(self) -> str:
        return f"Outreach job {self.job_id} goes on"

    async def _jobs_to_cancel(self) -> list[str]:
        return [self.job_id]

    def _pause(self, poll: OutreachJob | Exception) -> float:
        return job_pause(poll, self.poke_interval, time.time())
