"""Scripted faults of requests."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from airflow_provider_revor.sandbox.contract.errors import ERRORS
from airflow_provider_revor.sandbox.contract.outreach import Servable

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


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
    Field(description="More headers of the response.", examples=[{"Retry-After": "2"}]),
]


class Which(TypedDict, total=False):
    """The requests that a fault happens to: how many, and of which method."""

    times: int
    method: Method | None


class _Fault(Servable):
    model_config = ConfigDict(frozen=True, extra="forbid")

    times: int = Field(default=1, ge=1, description="How many API requests it applies to.")
    method: Method | None = Field(
        default=None, description="Only requests of this method; the others pass it by. Left out: of any."
    )


class ErrorFault(_Fault):
    """An error in Revor's own envelope."""

    kind: Literal["error"] = "error"
    status: int = Field(
        default=0, ge=400, le=599, validate_default=True, description="Left out: the status that goes with the code."
    )
    code: str | None = Field(default=None, description="Left out: the code that goes with the status.")
    message: str | None = None
    headers: Headers = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _status_of_the_code(cls, fault: Any) -> Any:
        if isinstance(fault, dict) and fault.get("status") is None and str(fault.get("code")) in ERRORS:
            return {**fault, "status": ERRORS[str(fault["code"])][0]}
        return fault


class AnswerFault(_Fault):
    """Any response, word for word, such as the HTML page of a gateway."""

    kind: Literal["answer"] = "answer"
    status: int = Field(ge=200, le=599)
    headers: Headers = Field(default_factory=dict, description="`Content-Type` is text/plain unless given.")
    body: str = ""

    @model_validator(mode="after")
    def _body_is_allowed(self) -> AnswerFault:
        if self.body and self.status in {204, 304}:
            raise ValueError(f"a response {self.status} has no body")
        return self


class DropFault(_Fault):
    """The connection is closed before any byte of a response."""

    kind: Literal["drop"] = "drop"


class TruncateFault(_Fault):
    """The normal response, closed half-way: `Content-Length` promises more than comes."""

    kind: Literal["truncate"] = "truncate"


class SlowFault(_Fault):
    """The normal response, late."""

    kind: Literal["slow"] = "slow"
    seconds: float = Field(gt=0, le=3600, description="The delay before the response is made, or sent.")
    after_acting: bool = Field(
        default=False, description="`true`: the request is acted upon at once, and only its response waits."
    )


class LoseAnswerFault(_Fault):
    """The request is acted upon, then the connection is closed before any byte of the response."""

    kind: Literal["lose_answer"] = "lose_answer"


Fault = Annotated[
    ErrorFault | AnswerFault | DropFault | TruncateFault | SlowFault | LoseAnswerFault, Field(discriminator="kind")
]

#: The sandbox keeps no more faults than these.
MAX_FAULTS = 1_000
