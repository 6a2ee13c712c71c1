"""The shapes that the sandbox serves and takes; the checks on them are here and nowhere else."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator, with_config
from pydantic.config import JsonDict
from typing_extensions import TypedDict

_Channel = Literal["email", "linkedin", "whatsapp"]
#: The channels that there are.
CHANNELS: tuple[str, ...] = get_args(_Channel)

Channel = Annotated[_Channel, Field(description="The channel that the account speaks on.")]
Name = Annotated[str, Field(description="Display name.")]
Identifier = Annotated[str | None, Field(description="An address or a profile URL.")]
Status = Annotated[
    Literal["ok", "credentials", "error"],
    Field(description="`ok`: usable; `credentials`: must be reconnected; `error`: not available now."),
]
LifecycleStatus = Annotated[str, Field(description="Diagnostic only: `active`, `connected`, `reconnect_required`, …")]
CanSend = Annotated[bool, Field(description="May send messages or act.")]
CanReceive = Annotated[bool, Field(description="May receive or sync.")]

_ACCOUNT_EXAMPLE: JsonDict = {
    "account_id": "acc_email_new",
    "channel": "email",
    "name": "Dana Example",
    "account_identifier": "dana@example.com",
    "status": "ok",
    "lifecycle_status": "active",
    "can_send": True,
    "can_receive": True,
}


class Account(BaseModel):
    """
    One Connect account.

    Only `account_id` and `channel` have to be given: what is left out makes an account that can send. Fields
    that are not known here are served too, so that an answer copied from Revor is given back as it came.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="allow",
        hide_input_in_errors=True,
        json_schema_extra={"example": _ACCOUNT_EXAMPLE},
    )

    account_id: str = Field(min_length=1, description="What outreach endpoints take as `account_id`.")
    channel: Channel
    name: Name = "Sandbox account"
    account_identifier: Identifier = None
    status: Status = "ok"
    lifecycle_status: LifecycleStatus = "active"
    can_send: CanSend = True
    can_receive: CanReceive = True


class AccountSet(BaseModel):
    """All accounts of the sandbox."""

    model_config = ConfigDict(hide_input_in_errors=True)

    items: list[Account]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> AccountSet:
        if len({account.account_id for account in self.items}) < len(self.items):
            raise ValueError("account_id must be unique")
        return self


@with_config(ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True))
class AccountChanges(TypedDict, total=False):
    """The fields of an account to change; the others stay."""

    channel: Channel
    name: Name
    account_identifier: Identifier
    status: Status
    lifecycle_status: LifecycleStatus
    can_send: CanSend
    can_receive: CanReceive


class AccountList(BaseModel):
    """The answer with accounts."""

    ok: Literal[True] = True
    request_id: str = Field(examples=["req_0123456789abcdef"])
    items: list[Account]


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str
    message: str
    request_id: str


class ErrorAnswer(BaseModel):
    """The answer of a request that failed."""

    ok: Literal[False] = False
    error: ErrorDetail


class KeyState(BaseModel):
    """What the API key is good for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    valid: bool = Field(default=True, description="`false`: requests with the key get 401 `api_key_invalid`.")
    permitted: bool = Field(default=True, description="`false`: requests with the key get 403 `permission_denied`.")


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError("not the name of a header")
        if name.lower() in {"connection", "content-length", "transfer-encoding"}:
            raise ValueError(f"{name} is the server's own to set")
        if value != value.strip() or not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            raise ValueError(f"not a value for the header {name}")
    return headers


Headers = Annotated[
    dict[str, str],
    AfterValidator(_check_headers),
    Field(description="More headers of the answer.", examples=[{"Retry-After": "2"}]),
]


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


class _Fault(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    times: int = Field(default=1, ge=1, description="How many API requests it applies to.")
    method: Method | None = Field(
        default=None, description="Only requests of this method; the others pass it by. Left out: of any."
    )


class ErrorFault(_Fault):
    """An error in Revor's own envelope."""

    kind: Literal["error"] = "error"
    status: int = Field(ge=400, le=599)
    code: str | None = Field(default=None, description="Left out: the code that goes with the status.")
    message: str | None = None
    headers: Headers = Field(default_factory=dict)


class AnswerFault(_Fault):
    """Any answer, word for word, such as the HTML page of a gateway."""

    kind: Literal["answer"] = "answer"
    status: int = Field(ge=200, le=599)
    headers: Headers = Field(default_factory=dict, description="`Content-Type` is text/plain unless given.")
    body: str = ""

    @model_validator(mode="after")
    def _body_is_allowed(self) -> AnswerFault:
        if self.body and self.status in {204, 304}:
            raise ValueError(f"an answer {self.status} has no body")
        return self


class DropFault(_Fault):
    """The connection is closed before any byte of an answer."""

    kind: Literal["drop"] = "drop"


class TruncateFault(_Fault):
    """The normal answer, closed half-way: `Content-Length` promises more than comes."""

    kind: Literal["truncate"] = "truncate"


class SlowFault(_Fault):
    """The normal answer, late."""

    kind: Literal["slow"] = "slow"
    seconds: float = Field(gt=0, le=3600, description="The delay before the answer is made, or leaves.")
    after_acting: bool = Field(
        default=False, description="`true`: the request is acted upon at once, and only its answer waits."
    )


class LoseAnswerFault(_Fault):
    """The request is acted upon, then the connection is closed before any byte of the answer."""

    kind: Literal["lose_answer"] = "lose_answer"


Fault = Annotated[
    ErrorFault | AnswerFault | DropFault | TruncateFault | SlowFault | LoseAnswerFault, Field(discriminator="kind")
]


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"] = "ok"


class RequestRecord(BaseModel):
    """One API request that the sandbox has had; it never holds the key."""

    method: str
    path: str
    query: str = Field(description="The query string as it was sent.")
    request_id: str
    received_at: datetime
    idempotency_key: str | None = Field(default=None, description="The header `Idempotency-Key`.")
    status: int | None = Field(
        default=None, description="What was answered; null: nothing (dropped, lost), or not yet (slow)."
    )
    fault: str | None = Field(default=None, description="The kind of the scripted fault that it met.")


class RequestLog(BaseModel):
    """The API requests so far."""

    total: int = Field(description="All since the start or the last reset.")
    items: list[RequestRecord] = Field(description="The latest, oldest first; at most 1000.")
