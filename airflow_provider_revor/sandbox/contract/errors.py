"""The error codes of the API, and the envelope that they come in."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

#: The codes that list accounts; code: (status, message)
_LISTING_ERRORS = {
    "invalid_channel": (400, "channel must be one of: email, linkedin, whatsapp."),
    "invalid_can_send": (400, "can_send must be one of: true, false, 1, 0."),
    "api_key_missing": (401, "Send the API key as Authorization: Bearer KEY, or as x-api-key: KEY."),
    "api_key_invalid": (401, "The API key is not valid."),
    "permission_denied": (403, "The API key lacks the permission for this (connect.accounts:read to list accounts)."),
    "api_rate_limit_exceeded": (429, "Too many requests."),
}

#: Every code. Revor documents three for outreach, and its clients handle some more on any endpoint; their statuses are
#: the sandbox's own. So are the other codes: Revor describes those errors in words only.
ERRORS = {
    **_LISTING_ERRORS,
    "account_not_found": (404, "There is no such Connect account."),
    "external_api_job_not_found": (404, "There is no such job."),
    "endpoint_not_found": (404, "There is no such endpoint."),
    "idempotency_conflict": (409, "The Idempotency-Key was used with another body."),
    # only as faults
    "insufficient_credits": (402, "There are not enough credits."),
    "USER_INSUFFICIENT_CREDITS": (402, "There are not enough credits."),
    "membership_tier_insufficient": (403, "The plan does not include this."),
    "external_api_job_concurrency_limit_exceeded": (429, "Too many jobs are running."),
    "external_api_task_not_found": (404, "There is no such task."),
    # the sandbox's own
    "job_not_cancellable": (409, "The job runs or has ended: only what is queued or scheduled can be cancelled."),
    "invalid_request": (400, "The body is not as documented."),
    "account_channel_mismatch": (409, "The account is of another channel."),
    "account_reconnect_required": (409, "The account must be reconnected."),
    "account_unavailable": (409, "The account can't send at the moment."),
    "account_id_required": (409, "Only with exactly one usable LinkedIn account may account_id be left out."),
    "sandbox_full": (409, "The sandbox keeps no more jobs: forget them by reset_jobs() or DELETE /sandbox/jobs."),
}

#: The codes that any request may get.
ANY_REQUEST = ("api_key_missing", "api_key_invalid", "permission_denied", "api_rate_limit_exceeded")


class ErrorDetail(BaseModel):
    """The error."""

    code: str
    message: str
    request_id: str


class ErrorAnswer(BaseModel):
    """The response to a request that failed."""

    ok: Literal[False] = False
    error: ErrorDetail


class ApiError(Exception):
    """A request that is rejected with one of the codes above; the message is the code's own if left out."""

    def __init__(self, code: str, message: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status, own_message = ERRORS[code]
        self.message = message or own_message


class UnknownIdError(KeyError):
    """There is no account, or no job, of this id: 404 in the sandbox's control API."""

    def __str__(self) -> str:
        return str(self.args[0])


class RefusedError(ValueError):
    """A change that the sandbox can't make in its present state: 409 in its control API."""


def problems(error: ValidationError) -> list[str]:
    """Say where and what is wrong, without the value, which may be someone's address."""
    return [
        ": ".join(filter(None, [".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")]))
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def is_api_path(path: str) -> bool:
    """Tell whether a path belongs to Revor's API, rather than to the sandbox's own pages."""
    return path == "/api" or path.startswith("/api/")


def default_code(status: int) -> str:
    """Return the last code of the listing with this status, or else the status in words (``not_found``)."""
    documented = [code for code, (its_status, _) in _LISTING_ERRORS.items() if its_status == status]
    if documented:
        return documented[-1]
    try:
        return HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return "unknown_error"


def error_response(
    request_id: str,
    status: int,
    code: str | None = None,
    message: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Make an error response; the code defaults to the status's, the message to the code's."""
    code = code or default_code(status)
    if message is None:
        _, message = ERRORS.get(code, (status, code.replace("_", " ").capitalize() + "."))
    body = ErrorAnswer(error=ErrorDetail(code=code, message=message, request_id=request_id))
    return JSONResponse(body.model_dump(), status, dict(headers or {}))


def error_answers(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Describe error responses for the API's pages, as FastAPI's ``responses``."""
    answers: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, message = ERRORS[code]
        error = ErrorDetail(code=code, message=message, request_id="req_0123456789abcdef")
        answer = answers.setdefault(status, {"model": ErrorAnswer, "content": {"application/json": {"examples": {}}}})
        examples = answer["content"]["application/json"]["examples"]
        examples[code] = {"value": ErrorAnswer(error=error).model_dump()}
        answer["description"] = ", ".join(f"`{name}`" for name in examples)
    return answers
