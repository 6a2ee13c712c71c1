"""Outreach: the bodies that its endpoints take, with all their checks, and the jobs that they serve."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import from_json

Channel = Annotated[
    Literal["email", "linkedin", "whatsapp"], Field(description="The channel that the account speaks on.")
]
Text = Annotated[str, Field(min_length=1)]
Action = Literal["outreach.dispatch", "outreach.linkedin.post_like"]

#: The statuses in which a job ends.
TERMINAL = frozenset({"succeeded", "failed", "cancelled"})

_SHORTEST, _LONGEST = 60, 86_400


class Servable(BaseModel):
    """A model that is served as it was given, so what can't be served as JSON is rejected at once."""

    @model_validator(mode="after")
    def _is_json(self) -> Self:
        try:
            from_json(json.dumps(self.model_dump(), allow_nan=False, ensure_ascii=False).encode())
        except (TypeError, ValueError, RecursionError):
            raise ValueError("a lone surrogate, NaN, deep nesting, or something else that is not JSON") from None
        return self


class Answer(BaseModel):
    """What every response to a request that succeeded has."""

    ok: Literal[True] = True
    request_id: str = Field(examples=["req_0123456789abcdef"])


@dataclass(frozen=True)
class Task:
    """The task of a body, the same for all endpoints; ``address`` is the recipient's address, profile URL or phone."""

    action: Action
    account_id: str | None
    channel: Channel
    recipient: dict[str, Any]
    address: str
    content: dict[str, Any]
    metadata: dict[str, Any]
    min_channel_task_interval_seconds: int
    body: dict[str, Any]


def _check_base64(text: str) -> str:
    base64.b64decode(text, validate=True)
    return text


class _Object(BaseModel):
    # Fields that are not documented stay in the body: Revor does not say that it rejects them.
    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)


class Attachment(_Object):
    """A file to send along; it may have more fields."""

    filename: Text
    contentBase64: Annotated[Text, AfterValidator(_check_base64)]


class _Recipient(_Object):
    name: str = ""


class EmailRecipient(_Recipient):
    """The recipient of an email."""

    address: Text


class LinkedinRecipient(_Recipient):
    """The recipient on LinkedIn."""

    profile_url: Text = Field(description="A personal profile.")


class WhatsappRecipient(_Recipient):
    """The recipient on WhatsApp."""

    phone: Text


class _Content(_Object):
    attachments: list[Attachment] = []


class EmailContent(_Content):
    """An email: `text` and/or `html`."""

    subject: Text
    text: str = ""
    html: str = Field(default="", validate_default=True)

    @field_validator("html")
    @classmethod
    def _has_a_body(cls, html: str, info: ValidationInfo) -> str:
        # On the field, because a check of the whole model runs only if no field is wrong.
        if not html and info.data.get("text") == "":
            raise ValueError("text and/or html must be given")
        return html


class ChatContent(_Content):
    """A message on LinkedIn or WhatsApp: `text` and/or attachments."""

    text: str = Field(default="", validate_default=True)

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str, info: ValidationInfo) -> str:
        if not text and info.data.get("attachments") == []:
            raise ValueError("text and/or attachments must be given")
        return text


class Body(_Object):
    """The fields that all bodies have."""

    min_channel_task_interval_seconds: int = Field(
        default=_SHORTEST,
        description=f"Clamped to {_SHORTEST}–{_LONGEST}. The sandbox only notes it, unless told to keep it.",
    )

    def task(self, body: dict[str, Any]) -> Task:
        """Make the task of a body that was checked; ``body`` is the body as it came."""
        raise NotImplementedError

    @property
    def interval(self) -> int:
        """The interval, clamped."""
        return min(max(self.min_channel_task_interval_seconds, _SHORTEST), _LONGEST)


class Dispatch(Body):
    """A message to send, on a channel that is not known yet; each channel narrows it."""

    address_field: ClassVar[str]

    account_id: Text
    channel: Channel
    action: Literal["outreach"]
    recipient: _Recipient
    content: _Content
    metadata: dict[str, Any] = {}

    def task(self, body: dict[str, Any]) -> Task:
        """Make the task of a dispatch."""
        return Task(
            action="outreach.dispatch",
            account_id=self.account_id,
            channel=self.channel,
            recipient=body["recipient"],
            address=getattr(self.recipient, self.address_field),
            content=body["content"],
            metadata=self.metadata,
            min_channel_task_interval_seconds=self.interval,
            body=body,
        )


class EmailDispatch(Dispatch):
    """An email to send."""

    address_field = "address"

    channel: Literal["email"]
    recipient: EmailRecipient
    content: EmailContent


class LinkedinDispatch(Dispatch):
    """A direct message or an invitation to send; Revor decides which."""

    address_field = "profile_url"

    channel: Literal["linkedin"]
    recipient: LinkedinRecipient
    content: ChatContent


class WhatsappDispatch(Dispatch):
    """A WhatsApp message to send."""

    address_field = "phone"

    channel: Literal["whatsapp"]
    recipient: WhatsappRecipient
    content: ChatContent


class PostLike(Body):
    """A profile of which to like a post, and which post is relevant: at least one of `content`, `topic`, `intent`."""

    profile_url: Text
    account_id: Text = Field(default="", description="May be left out with exactly one usable LinkedIn account.")
    content: str = ""
    topic: str = ""
    intent: str = Field(default="", validate_default=True)
    post_limit: int = Field(default=20, ge=1, le=50)
    locale: Literal["en", "zh"] | None = None

    @field_validator("intent")
    @classmethod
    def _says_what_is_relevant(cls, intent: str, info: ValidationInfo) -> str:
        if not intent and [info.data.get(name) for name in ("content", "topic")] == ["", ""]:
            raise ValueError("one of content, topic and intent must be given")
        return intent

    def task(self, body: dict[str, Any]) -> Task:
        """Make the task of a post-like; its content is what was given of content, topic and intent."""
        return Task(
            action="outreach.linkedin.post_like",
            account_id=self.account_id or None,
            channel="linkedin",
            recipient={"profile_url": self.profile_url},
            address=self.profile_url,
            content={name: body[name] for name in ("content", "topic", "intent") if name in body},
            metadata={},
            min_channel_task_interval_seconds=self.interval,
            body=body,
        )


class JobReceipt(BaseModel):
    """The job that was created."""

    id: str = Field(examples=["job_0123456789abcdef"])
    status: str = Field(description="`queued`; `scheduled` if it starts later.")
    action: Action
    channel: Channel
    scheduled_at: datetime


class JobReceiptAnswer(Answer):
    """The response to a body that was accepted."""

    item: JobReceipt


class JobError(Servable):
    """Why a job failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(default="sandbox_failure", description="The default is the sandbox's own.")
    message: str = "The sandbox was told that this job fails."
    retryable: bool = False


class Job(JobReceipt):
    """An outreach job as it is now."""

    status: str = Field(description="`succeeded`, `failed` and `cancelled` are the end; anything else is not.")
    started_at: datetime | None
    finished_at: datetime | None
    attempt_count: int
    next_attempt_at: datetime | None
    result: dict[str, Any] | None
    error: JobError | None


class JobAnswer(Answer):
    """The response with a job."""

    item: Job


class Credits(Answer):
    """The response with what is left to spend."""

    available_credits: int
