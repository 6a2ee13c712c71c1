"""One outreach job: what it is at any time follows from what it was told when it was made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_revor.sandbox.outreach_bodies import Task
from airflow_provider_revor.sandbox.outreach_models import TERMINAL, Job, JobError, JobFinish, JobReceipt, OutboxEntry

_RESOLVED_ACTIONS = {"email": "message", "whatsapp": "message", "linkedin": "direct_message"}


class JobStateError(ValueError):
    """The job can't end so, or not any more."""


@dataclass
class OutreachJob:
    """
    A job, as what its state at any time follows from.

    It starts at ``starts_at`` (None: it ended before) and runs until ``settles_at`` (None: until it is finished), from
    when on its status is its ``outcome``, be that an end or not.
    """

    id: str
    message_id: str
    task: Task
    account_id: str
    idempotency_key: str | None
    created_at: datetime
    scheduled_at: datetime
    starts_at: datetime | None
    settles_at: datetime | None
    outcome: str
    error: JobError | None

    def finish(self, ending: JobFinish, now: datetime) -> None:
        """
        End it.

        :param ending: how.
        :param now: the time.
        :raises JobStateError: if it has ended already, or is a dispatch, which can't be skipped.
        """
        if self.status(now) in TERMINAL:
            raise JobStateError(f"job {self.id!r} has ended already")
        if ending.status == "skipped" and self.task.action == "outreach.dispatch":
            raise JobStateError(f"job {self.id!r} is a dispatch: only a post-like can be skipped")
        if not self._has_started(now):  # what is cancelled before it starts never does
            self.starts_at = None if ending.status == "cancelled" else now
        self.settles_at = now
        self.outcome, self.error = ending.status, ending.error

    def status(self, now: datetime) -> str:
        """
        Tell the status.

        :param now: the time.
        :return: the status.
        """
        if self.settles_at is not None and now >= self.settles_at:
            return "succeeded" if self.outcome == "skipped" else self.outcome
        return "running" if self.starts_at is not None and now >= self.starts_at else "scheduled"

    def sends(self, now: datetime) -> bool:
        """
        Tell whether it belongs into the outbox.

        :param now: the time.
        :return: False if it came to nothing: failed, cancelled, or found no post.
        """
        status = self.status(now)
        return status not in {"failed", "cancelled"} and not (status == "succeeded" and self.outcome == "skipped")

    def receipt(self) -> JobReceipt:
        """
        Tell of the job as it was when it was made.

        :return: the item of the answer that took it, and of every replay.
        """
        return JobReceipt(
            id=self.id,
            status="queued" if self.scheduled_at == self.created_at else "scheduled",
            action=self.task.action,
            channel=self.task.channel,
            scheduled_at=self.scheduled_at,
        )

    def view(self, now: datetime) -> Job:
        """
        Tell of the job as it is.

        :param now: the time.
        :return: the item that the API serves.
        """
        status = self.status(now)
        has_started = self._has_started(now)
        has_ended = status in TERMINAL
        return Job(
            id=self.id,
            status=status,
            action=self.task.action,
            channel=self.task.channel,
            scheduled_at=self.scheduled_at,
            started_at=self.starts_at if has_started else None,
            finished_at=self.settles_at if has_ended else None,
            attempt_count=int(has_started),
            next_attempt_at=None if has_started or has_ended else self.scheduled_at,
            result=self._result() if status == "succeeded" else None,
            error=(self.error or JobError()) if status == "failed" else None,
        )

    def entry(self, now: datetime) -> OutboxEntry:
        """
        Tell what it sends.

        :param now: the time.
        :return: its entry in the outbox.
        """
        return OutboxEntry(
            job_id=self.id,
            action=self.task.action,
            account_id=self.account_id,
            channel=self.task.channel,
            recipient=self.task.recipient,
            content=self.task.content,
            metadata=self.task.metadata,
            idempotency_key=self.idempotency_key,
            status=self.status(now),
            created_at=self.created_at,
            min_channel_task_interval_seconds=self.task.min_channel_task_interval_seconds,
            body=self.task.body,
        ).model_copy(deep=True)

    def _has_started(self, now: datetime) -> bool:
        return self.starts_at is not None and now >= self.starts_at and self.status(now) not in {"queued", "scheduled"}

    def _result(self) -> dict[str, Any]:
        # The sandbox's own choice: the values of `action` and of `status` but for `skipped`, and a post-like's fields.
        common = {"account_id": self.account_id, "channel": self.task.channel}
        if self.task.action == "outreach.dispatch":
            return {
                **common,
                "action": "outreach",
                "resolved_action": _RESOLVED_ACTIONS[self.task.channel],
                "message_id": self.message_id,
                "status": "sent",
            }
        return {**common, "action": self.task.action, "status": "skipped" if self.outcome == "skipped" else "liked"}
