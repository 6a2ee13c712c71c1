"""The bodies that outreach endpoints take; the checks on them are here and nowhere else."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import from_json

from airflow_provider_revor.sandbox.errors import ApiError
from airflow_provider_revor.sandbox.models import Channel

_NEAREST, _FARTHEST = 60, 86_400

Text = Annotated[str, Field(min_length=1)]
Action = Literal["outreach.dispatch", "outreach.linkedin.post_like"]


@dataclass(frozen=True)
class Task:
    """What a body asks for, whichever endpoint took it; ``address`` is how the channel calls the recipient."""

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
    # Nothing is said of fields that are not documented: they may come, and stay in the body.
    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)


class Attachment(_Object):
    """A file to send along; more fields than these may come."""

    filename: Text
    contentBase64: Annotated[Text, AfterValidator(_check_base64)]


class _Recipient(_Object):
    name: str = ""


class EmailRecipient(_Recipient):
    """Whom to send an email to."""

    address: Text


class LinkedinRecipient(_Recipient):
    """Whom to write to on LinkedIn."""

    profile_url: Text = Field(description="A personal profile.")


class WhatsappRecipient(_Recipient):
    """Whom to write to on WhatsApp."""

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
        # Here and not in a check of the whole, which would wait until no field is wrong.
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


class _Body(_Object):
    min_channel_task_interval_seconds: int = Field(
        default=_NEAREST,
        description=f"Clamped to {_NEAREST}–{_FARTHEST}. The sandbox only notes it: no task waits for another.",
    )

    @property
    def interval(self) -> int:
        return min(max(self.min_channel_task_interval_seconds, _NEAREST), _FARTHEST)


class Dispatch(_Body):
    """A message to send, on a channel that is still to be told; each channel narrows it."""

    address_field: ClassVar[str]

    account_id: Text
    channel: Channel
    action: Literal["outreach"]
    recipient: _Recipient
    content: _Content
    metadata: dict[str, Any] = {}

    def task(self, body: dict[str, Any]) -> Task:
        """
        Make the task of it.

        :param body: the body as it came.
        :return: the task.
        """
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
    """A direct message or an invitation to send: Revor sees which."""

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


class PostLike(_Body):
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
        """
        Make the task of it.

        :param body: the body as it came.
        :return: the task; its content is what was given of content, topic and intent.
        """
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


_DISPATCHES: dict[Any, type[Dispatch]] = {
    "email": EmailDispatch,
    "linkedin": LinkedinDispatch,
    "whatsapp": WhatsappDispatch,
}

BodyT = TypeVar("BodyT", Dispatch, PostLike)


def read_dispatch(raw: bytes) -> Task:
    """
    Check the body of a dispatch.

    :param raw: the body as it came.
    :return: the task that it asks for.
    :raises ApiError: if it is not one; the message names each field that is missing or wrong.
    """
    body = _read_object(raw)
    channel = body.get("channel")
    return _check(_DISPATCHES.get(channel, Dispatch) if isinstance(channel, str) else Dispatch, body).task(body)


def read_post_like(raw: bytes) -> Task:
    """
    Check the body of a post-like.

    :param raw: the body as it came.
    :return: the task that it asks for.
    :raises ApiError: if it is not one; the message names each field that is missing or wrong.
    """
    body = _read_object(raw)
    return _check(PostLike, body).task(body)


def _read_object(raw: bytes) -> dict[str, Any]:
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise ApiError("invalid_request", "The body is not UTF-8 JSON.") from None
    if not isinstance(body, dict):
        raise ApiError("invalid_request", "The body is not a JSON object.")
    return body


def _check(model: type[BodyT], body: dict[str, Any]) -> BodyT:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        # Only where and what: the value may be someone's address.
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        named = (f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}" for each in problems)
        raise ApiError("invalid_request", f"{'; '.join(named)}.") from None
