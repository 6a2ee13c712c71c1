"""Waiting in the triggerer until all jobs of a batch have ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_revor.operators.base import OutreachOperator
from airflow_provider_revor.operators.killing import cancel_from_worker
from airflow_provider_revor.rules.outcomes import Row, by_urgency, describe, progress, summarize
from airflow_provider_revor.rules.pauses import deferral_timeout, time_left
from airflow_provider_revor.tasks.progress import clock_time, in_words
from airflow_provider_revor.triggers.batch import ENDED, JOBS
from airflow_provider_revor.triggers.xcoms import TaskXComs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.operators.batch.sending import BatchSender


class BatchWait(OutreachOperator):
    """The part of :class:`.OutreachBatchOperator` that waits for the jobs."""

    max_requests_per_minute: float

    _go_on = "They go on in Revor: another try of this task waits for them, and sends nothing twice."
    _unmet = "Not all jobs have ended"
    _task: TaskXComs | None = None
    #: What sends, or has sent, in this process.
    _sender: BatchSender | None = None
    #: How the messages stand, where nothing is sent in this process.
    _rows: Sequence[Row] = ()

    def on_kill(self) -> None:
        """Cancel the jobs, with ``cancel_on_kill`` and if a person has ended the task; else log that they go on."""
        if self._task is None:
            return
        if not self.cancel_on_kill:
            self.log.warning("The batch's jobs go on in Revor: ending a task leaves them as they are.")
            return
        rows = self._sender.rows.values() if self._sender else self._rows
        left = [row.job_id or "" for row in by_urgency(row for row in rows if row.waits)]
        stopped = cancel_from_worker(self.revor_conn_id, left, self._task, self.log)
        if self._sender:
            self._sender.stopped = stopped

    def _defer(self, context: Context, rows: Sequence[Row], began: float) -> NoReturn:
        now = time.time()
        if (last := max((row.begins_at or 0 for row in rows), default=0)) > began + self.timeout:
            self.log.warning(
                "The last job is scheduled %s later than this try waits.", in_words(last - began - self.timeout)
            )
        left, status = time_left(began + self.timeout - now, self.execution_timeout, now - began)
        summary = summarize(rows)
        self.log.info(
            "%s. It waits for the jobs until %s at the latest.", progress(summary, "messages:"), clock_time(now + left)
        )
        notify_at = self._notify_at(context, now - began, [describe(summary)], now + left)
        self._defer_until(context, rows, deadline=now + left, deadline_status=status, notify_at=notify_at)

    def _wait_on(self, context: Context, rows: Sequence[Row], event: Mapping[str, Any]) -> NoReturn:
        """
        Tell people that this task waits, and wait on as before.

        :param context: The task's context.
        :param rows: How the messages stand.
        :param event: The payload of the event that said that it is time to.
        """
        # A person may end the task meanwhile.
        self._task, self._rows = TaskXComs.of(context), rows
        self._notify(context, [describe(summarize(rows))], event["deadline"])
        self._defer_until(context, rows, deadline=event["deadline"], deadline_status=event["deadline_status"])

    def _defer_until(self, context: Context, rows: Sequence[Row], *, deadline: float, **wait: Any) -> NoReturn:
        from airflow_provider_revor.triggers.batch import OutreachBatchTrigger

        now = time.time()
        name = f"{context['ti'].try_number}-{now}"
        self._push(context, rows)
        context["ti"].xcom_push(key=ENDED, value={"wait": name, "ends": []})
        self.defer(
            trigger=OutreachBatchTrigger(
                instance=TaskXComs.of(context).as_dict(),
                wait=name,
                revor_conn_id=self.revor_conn_id,
                poke_interval=self.poke_interval,
                max_requests_per_minute=self.max_requests_per_minute,
                first_poll_at=now,
                deadline=deadline,
                cancel_on_kill=self.cancel_on_kill,
                **wait,
            ),
            method_name="execute_complete",
            timeout=deferral_timeout(max(deadline - now, 0)),
        )

    def _push(self, context: Context, rows: Sequence[Row]) -> dict[str, Any]:
        """Push the rows and the summary, so that they are there however the task ends; return the summary."""
        summary = summarize(rows)
        context["ti"].xcom_push(key=JOBS, value=[row.as_dict() for row in rows])
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=summary)
        return summary
