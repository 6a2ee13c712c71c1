"""Waiting until an outreach job has ended: on a worker, or in the triggerer."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_revor.api.jobs import job_from_dict
from airflow_provider_revor.exceptions import RevorError, RevorTransientError, RevorValueError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.base import OutreachOperator
from airflow_provider_revor.operators.killing import cancel_from_worker
from airflow_provider_revor.operators.memory import AttemptMemory
from airflow_provider_revor.rules.pauses import Misses, deferral_timeout, job_pause, time_left
from airflow_provider_revor.tasks.endings import ends_in_triggerer
from airflow_provider_revor.triggers.xcoms import TaskXComs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.api.jobs import OutreachJob
    from airflow_provider_revor.tasks.progress import WaitLog


class JobWait(OutreachOperator):
    """The part of :class:`.OutreachJobOperator` that waits for the job."""

    end_on_worker: bool

    _go_on = "It goes on in Revor: another try of this task waits for the same job, and sends nothing twice."
    _job_id: str | None = None
    #: The version of the API that the job was made by.
    _job_version: str | None = None
    _task: TaskXComs | None = None
    #: Whether a person has ended this try. Airflow leaves its process some seconds, in which it may go on.
    _is_killed = False

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """
        Go on with what the trigger found.

        :param event: The payload of :class:`.OutreachJobTrigger`.
        :return: The job's dict.
        :raises RevorError: as :meth:`execute` does.
        :raises AirflowTaskTimeout: if ``execution_timeout`` was over first.
        """
        self._job_id = event["job_id"]
        if event["status"] == "waiting":
            self._wait_on(context, event)
        if self.cancel_on_kill and event["status"] in ("error", "execution_timeout", "timeout"):
            # While the task was deferred, the output that it was rendered from may have been cleared.
            with suppress(RevorValueError):
                AttemptMemory.of_person(self._recipient(), context, self.log).keep_job()
        if event["status"] not in ("success", "failed"):
            raise self._why_not_ended(event, partial(self._not_ended_within, reasons=event.get("reasons", ())))
        return self._conclude(context, job_from_dict(event["job"]))

    def on_kill(self) -> None:
        """Cancel the job, with ``cancel_on_kill`` and if a person has ended the task; else log that it goes on."""
        if self._job_id is None:
            return
        if self.cancel_on_kill and self._task:
            self._is_killed = cancel_from_worker(self.revor_conn_id, [self._job_id], self._task, self.log)
        else:
            self.log.warning("Outreach job %s goes on in Revor: ending a task leaves it as it is.", self._job_id)

    @abstractmethod
    def _recipient(self) -> dict[str, Any]:
        """Return the recipient, after all that is to be sent was checked."""

    @abstractmethod
    def _conclude(self, context: Context, job: OutreachJob) -> dict[str, Any]:
        """Return the dict of a job that has succeeded; raise what one means that has not."""

    def _wait(self, context: Context, job: OutreachJob, began: float, wait_log: WaitLog) -> OutreachJob:
        deadline = began + self.timeout

        def look() -> OutreachJob:
            # A new hook each time, so that a changed key is used.
            with RevorHook.for_polling(self.revor_conn_id, self._job_version) as hook:
                return hook.get_outreach_job(job.id)

        def notify(pause: float) -> float:
            return self._notify_while_pausing(context, time.time() - began, pause, wait_log.reasons, deadline)

        ended = until_ended(
            job, look, poke_interval=self.poke_interval, deadline=deadline, log=wait_log, before_pause=notify
        )
        if ended is None:
            raise self._too_late(partial(self._not_ended_within, reasons=wait_log.reasons))
        return ended

    def _defer(self, context: Context, job: OutreachJob, began: float, wait_log: WaitLog) -> NoReturn:
        now = time.time()
        left, status = time_left(began + self.timeout - now, self.execution_timeout, now - began)
        pause = job_pause(job, self.poke_interval, now)
        wait_log.pausing(pause, now + left)
        self._defer_until(
            deadline=now + left,
            deadline_status=status,
            first_poll_at=now + pause,
            notify_at=self._notify_at(context, now - began, wait_log.reasons, now + left),
            last_logged=wait_log.last_logged,
        )

    def _wait_on(self, context: Context, event: dict[str, Any]) -> NoReturn:
        """
        Tell people that this task waits, and wait on as before.

        :param event: The payload of the event that said that it is time to.
        """
        # A person may end the task meanwhile.
        self._task = TaskXComs.of(context)
        self._job_version = event["api_version"]
        self._notify(context, event.get("reasons", ()), event["deadline"])
        self._defer_until(
            deadline=event["deadline"],
            deadline_status=event["deadline_status"],
            first_poll_at=event["next_poll_at"] or time.time() + self.poke_interval,
            last_logged=event["last_logged"],
        )

    def _defer_until(self, *, deadline: float, **wait: Any) -> NoReturn:
        from airflow_provider_revor.triggers.outreach import OutreachJobTrigger

        self.defer(
            trigger=OutreachJobTrigger(
                revor_conn_id=self.revor_conn_id,
                job_id=str(self._job_id),
                poke_interval=self.poke_interval,
                deadline=deadline,
                end_here=not self.end_on_worker and ends_in_triggerer(self, JobWait),
                push_xcoms=self.do_xcom_push,
                api_version=self._job_version,
                cancel_on_kill=self.cancel_on_kill,
                **wait,
            ),
            method_name="execute_complete",
            timeout=deferral_timeout(max(deadline - time.time(), 0)),
        )

    @property
    def _unmet(self) -> str:
        return f"Outreach job {self._job_id} has not ended"

    def _not_ended_within(self, limit: str, reasons: Sequence[str]) -> str:
        where = f"on connection {self.revor_conn_id!r}"
        return " ".join([f"Outreach job {self._job_id} {where} did not end within {limit}.", *reasons])


def until_ended(
    job: OutreachJob,
    look: Callable[[], OutreachJob],
    *,
    poke_interval: float,
    deadline: float,
    log: WaitLog,
    before_pause: Callable[[float], float],
) -> OutreachJob | None:
    """
    Poll a job until it has ended; None if it has not by the deadline.

    :param job: How it stands now.
    :param look: Returns how it stands.
    :param poke_interval: The least seconds between two looks.
    :param deadline: When to give up, in seconds since the epoch.
    :param log: The log of the wait.
    :param before_pause: Is given the seconds until the next look, may use some of them, and returns the rest.
    :raises RevorError: for what waiting cannot heal.
    """
    misses = Misses()
    poll: OutreachJob | Exception = job
    while (left := deadline - time.time()) > 0:
        pause = min(job_pause(poll, poke_interval, time.time()), left)
        log.pausing(pause, deadline)
        time.sleep(before_pause(pause))
        try:
            poll = look()
        except RevorError as e:
            poll = e
            if not misses.bears_with(e, time.monotonic()) and not isinstance(e, RevorTransientError):
                raise
            log.trouble(e)
            continue
        misses.bears_with(poll, time.monotonic())
        if poll.ended:
            return poll
        log.waiting(poll.standing)
    return None
