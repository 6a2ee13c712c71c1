"""The shapes of outreach that the sandbox serves, and of what tells it how jobs go."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_provider_revor.sandbox.models import Channel
from airflow_provider_revor.sandbox.outreach_bodies import Action

#: What a job does not leave any more.
TERMINAL = frozenset({"succeeded", "failed", "cancelled"})

_A_YEAR = 365 * 86_400


class JobReceipt(BaseModel):
    """The task that was made."""

    id: str = Field(examples=["job_0123456789abcdef"])
    status: str = Field(description="`queued`; `scheduled` if a script tells it to start later.")
    action: Action
    channel: Channel
    scheduled_at: datetime


class JobReceiptAnswer(BaseModel):
    """The answer to a task that was taken."""

    ok: Literal[True] = True
    request_id: str = Field(examples=["req_0123456789abcdef"])
    item: JobReceipt


class JobError(BaseModel):
    """Why a job failed."""

    model_config = ConfigDict(frozen=True, extra="allow")

    code: str = Field(default="sandbox_failure", description="The default is the sandbox's own.")
    message: str = "The sandbox was told that this job fails."
    retryable: bool = False


class Job(BaseModel):
    """An outreach job as it is now."""

    id: str
    status: str = Field(description="`succeeded`, `failed` and `cancelled` are the end; anything else is not.")
    action: Action
    channel: Channel
    scheduled_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt_count: int
    next_attempt_at: datetime | None
    result: dict[str, Any] | None
    error: JobError | None


class JobAnswer(BaseModel):
    """The answer with a job."""

    ok: Literal[True] = True
    request_id: str = Field(examples=["req_0123456789abcdef"])
    item: Job


class JobList(BaseModel):
    """All jobs of the sandbox."""

    items: list[Job] = Field(description="Oldest first.")


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
    min_channel_task_interval_seconds: int = Field(description="As it holds: the default, or what came, clamped.")
    body: dict[str, Any] = Field(description="The whole body as it came.")


class Outbox(BaseModel):
    """All messages of the sandbox."""

    items: list[OutboxEntry] = Field(description="Oldest first.")


class _Ending(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    status: str = "succeeded"
    error: JobError | None = Field(default=None, description="Of a failed job; left out: an error of the sandbox's.")

    @model_validator(mode="after")
    def _only_failures_have_an_error(self) -> _Ending:
        if self.error and self.status != "failed":
            raise ValueError("only a failed job has an error")
        return self


class JobFinish(_Ending):
    """How a job ends."""

    status: Literal["succeeded", "failed", "cancelled", "skipped"] = Field(
        default="succeeded", description="`skipped`: a post-like that succeeds without having found a post."
    )


class JobScript(_Ending):
    """How the next jobs go."""

    status: str = Field(
        default="succeeded",
        min_length=1,
        description="`succeeded`, `failed`, `cancelled`; `skipped`: a post-like that succeeds without having found a "
        "post, dispatches pass it by; anything else is a status that does not end by itself.",
    )
    after: float | None = Field(
        default=0.0, ge=0, le=_A_YEAR, description="Seconds that it runs until then; null: until it is finished."
    )
    scheduled_in: float = Field(default=0.0, ge=0, le=_A_YEAR, description="Seconds until it starts.")
    times: int | None = Field(default=1, ge=1, description="How many jobs it applies to; null: all from now on.")
    recipient: str | None = Field(
        default=None, description="Only jobs for this `address`, `profile_url` or `phone`; the others pass it by."
    )
