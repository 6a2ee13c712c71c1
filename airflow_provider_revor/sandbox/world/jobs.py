"""Outreach jobs: their scripts, their states over time, and the messages that they send."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_provider_revor.sandbox.contract.errors import ApiError, RefusedError
from airflow_provider_revor.sandbox.contract.outreach import TERMINAL, Action, Channel, Job, JobError, JobReceipt, Task

Ending = Literal["succeeded", "failed", "cancelled", "skipped"]
ScriptedStatus = Literal[Ending, "queued", "scheduled", "running", "settling"]

_RESOLVED_ACTIONS = {"email": "message", "whatsapp": "message", "linkedin": "direct_message"}
_A_YEAR = 365 * 86_400


class OutboxEntry(BaseModel):
    """A message that was sent, or a post that was liked; or one that still will be."""

    job_id: str
    action: Action
    account_id: str
    channel: Channel
    recipient: dict[str, Any] = Field(description="As it came; of a post-like, its `profile_url`.")
    content: dict[str, Any] = Field(description="As it came; of a post-like, its `content`, `topic` and `intent`.")
    metadata: dict[str, Any] = Field(description="Empty if none came.")
    idempotency_key: str | None
    status: str = Field(description="The job's.")
    created_at: datetime
    min_channel_task_interval_seconds: int = Field(description="The default, or what came, clamped.")
    body: dict[str, Any] = Field(description="The whole body as it came.")


class _Ending(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    status: Any
    error: JobError | None = Field(default=None, description="Of a failed job; left out: an error of the sandbox's.")

    @model_validator(mode="after")
    def _only_failures_have_an_error(self) -> _Ending:
        if self.error and self.status != "failed":
            raise ValueError("only a failed job has an error")
        return self


class JobFinish(_Ending):
    """How a job ends."""

    status: Ending = Field(
        default="succeeded", description="`skipped`: a post-like that succeeds without having found a post."
    )


class JobScript(_Ending):
    """How the next jobs go."""

    status: ScriptedStatus = Field(
        default="succeeded",
        description="`succeeded`, `failed`, `cancelled`; `skipped`: a post-like that succeeds without having found "
        "a post, dispatches pass it by; the others do not end by themselves.",
    )
    after: float | None = Field(
        default=0.0, ge=0, le=_A_YEAR, description="Seconds that it runs until then; null: until it is finished."
    )
    scheduled_in: float = Field(default=0.0, ge=0, le=_A_YEAR, description="Seconds until it starts.")
    times: int | None = Field(default=1, ge=1, description="How many jobs it applies to; null: all from now on.")
    recipient: str | None = Field(
        default=None, description="Only jobs for this `address`, `profile_url` or `phone`; the others pass it by."
    )

    def fits(self, task: Task) -> bool:
        """Tell whether it is for the job of a task."""
        if self.status == "skipped" and task.action == "outreach.dispatch":
            return False
        return self.recipient in (None, task.address)


#: The sandbox keeps no more scripts than these.
MAX_SCRIPTS = 1_000


@dataclass
class OutreachJob:
    """
    A job; its state at any time follows from these fields.

    It starts at ``starts_at`` (None: it ended before) and runs until ``settles_at`` (None: until it is finished);
    from then on its status is its ``outcome``, whether that is an end or not.
    """

    id: str
    message_id: str
    owner: str
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
        """End it now; RefusedError if it has ended, or is a dispatch, which can't be skipped."""
        if self.status(now) in TERMINAL:
            raise RefusedError(f"job {self.id!r} has ended already")
        if ending.status == "skipped" and self.task.action == "outreach.dispatch":
            raise RefusedError(f"job {self.id!r} is a dispatch: only a post-like can be skipped")
        if not self._has_started(now):  # a job that is cancelled before it starts never starts
            self.starts_at = None if ending.status == "cancelled" else now
        self.settles_at = now
        self.outcome, self.error = ending.status, ending.error

    def shift(self, by: timedelta) -> None:
        """Move all of its times, as the clock was moved."""
        self.created_at += by
        self.scheduled_at += by
        self.starts_at = self.starts_at and self.starts_at + by
        self.settles_at = self.settles_at and self.settles_at + by

    def cancel(self, now: datetime) -> None:
        """Cancel it as a client may: only while it is queued or scheduled; ApiError if it runs or has ended."""
        status = self.status(now)
        if status in {"queued", "scheduled"}:
            self.finish(JobFinish(status="cancelled"), now)
        elif status != "cancelled":
            raise ApiError("job_not_cancellable")

    def status(self, now: datetime) -> str:
        """Return the status."""
        if self.settles_at is not None and now >= self.settles_at:
            return "succeeded" if self.outcome == "skipped" else self.outcome
        return "running" if self.starts_at is not None and now >= self.starts_at else "scheduled"

    def sends(self, now: datetime) -> bool:
        """Tell whether it belongs in the outbox: it has not failed, was not cancelled, and did not find no post."""
        status = self.status(now)
        return status not in {"failed", "cancelled"} and not (status == "succeeded" and self.outcome == "skipped")

    def receipt(self) -> JobReceipt:
        """Return the item of the response that accepted it."""
        return JobReceipt(
            id=self.id,
            status="queued" if self.scheduled_at == self.created_at else "scheduled",
            action=self.task.action,
            channel=self.task.channel,
            scheduled_at=self.scheduled_at,
        )

    def view(self, now: datetime) -> Job:
        """Return the item that the API serves."""
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
        """Return its entry in the outbox."""
        return OutboxEntry(
            **{
                **vars(self.task),
                "job_id": self.id,
                "account_id": self.account_id,
                "idempotency_key": self.idempotency_key,
                "status": self.status(now),
                "created_at": self.created_at,
            }
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
