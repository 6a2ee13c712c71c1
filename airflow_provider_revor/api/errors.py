"""
Which error a response of the Revor API means, and what to do about it.

Source: "Basics" of the Revor API reference: errors and rate limits; the codes that Revor's own clients handle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_revor.api.console import API_KEYS_URL, CONNECT_ACCOUNTS_URL
from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.api.text import clean_id, plain_text
from airflow_provider_revor.api.wire import Response
from airflow_provider_revor.exceptions import (
    RevorAuthenticationError,
    RevorConflictError,
    RevorError,
    RevorIdempotencyConflictError,
    RevorNotFoundError,
    RevorPermissionError,
    RevorPlanError,
    RevorRateLimitError,
    RevorRequestError,
    RevorResponseError,
    RevorServerError,
    RevorTransientError,
)

#: What :func:`error_for` is given for a body that is not JSON.
NOT_JSON = object()


class _Meaning(NamedTuple):
    """
    What a code or a status means.

    :param error: The class to raise.
    :param reason: What is wrong; the connection is added.
    :param advice: What to do, with the names of :class:`.Names` in braces.
    :param says_all: Whether the reason is clear without Revor's own words, which then follow the advice.
    """

    error: type[RevorError]
    reason: str
    advice: str
    says_all: bool = False


_PUT_A_KEY = f"Put a valid one into {{key}}; keys are made at {API_KEYS_URL}."
_GIVE_PERMISSION = (
    "Give the key the permission that this call needs (connect.accounts:read to list Connect accounts) "
    f"at {API_KEYS_URL}."
)
_FIX_THE_REQUEST = "Fix the request: Revor would reject it again."
_ADD_CREDITS = _Meaning(
    RevorPlanError,
    "There are not enough credits",
    "Have a person add credits in Revor, then clear the task.",
    says_all=True,
)
_NO_TASK = _Meaning(
    RevorNotFoundError,
    "Revor does not know this job",
    "Check the job's id, and that {key} holds a key of the user whose job it is.",
    says_all=True,
)

# Revor does not document the status of each code, so a known code counts whatever the status.
_BY_CODE = {
    "api_key_missing": _Meaning(
        RevorAuthenticationError,
        "The API key did not reach Revor",
        "Check whether a proxy removes the Authorization header, and the key in {key}; "
        f"keys are made at {API_KEYS_URL}.",
        says_all=True,
    ),
    "api_key_invalid": _Meaning(RevorAuthenticationError, "The API key is not valid", _PUT_A_KEY, says_all=True),
    "permission_denied": _Meaning(
        RevorPermissionError, "The API key lacks a permission", _GIVE_PERMISSION, says_all=True
    ),
    "api_rate_limit_exceeded": _Meaning(
        RevorRateLimitError,
        "Too many requests were sent",
        "Send fewer requests: all keys of one Revor user share the limit.",
        says_all=True,
    ),
    "insufficient_credits": _ADD_CREDITS,
    "user_insufficient_credits": _ADD_CREDITS,
    "membership_tier_insufficient": _Meaning(
        RevorPlanError,
        "The Revor plan does not include this",
        "Have a person upgrade the plan in Revor, then clear the task; or do without this call.",
        says_all=True,
    ),
    "account_not_found": _Meaning(
        RevorNotFoundError,
        "Revor does not know this account",
        f"Check the account_id against the accounts at {CONNECT_ACCOUNTS_URL}.",
        says_all=True,
    ),
    "external_api_job_not_found": _NO_TASK,
    "endpoint_not_found": _Meaning(
        RevorNotFoundError,
        "Revor has no such endpoint",
        "Check the method and the path, the API version in it, and {host}.",
        says_all=True,
    ),
    "idempotency_conflict": _Meaning(
        RevorIdempotencyConflictError,
        "This idempotency key was used for another request before, so nothing was sent now",
        "By default a task writes to a person once in a Dag run, whatever the text: check in Revor how the first "
        "message ended. To send another text, or from another account, give this person's task an "
        "`idempotency_key` of its own.",
        says_all=True,
    ),
}
_BY_PART_OF_CODE = {
    "job_concurrency_limit_exceeded": _Meaning(
        RevorRateLimitError,
        "Too many jobs run at the same time",
        "Wait until running jobs have ended.",
        says_all=True,
    ),
    "task_not_found": _NO_TASK,
}
_BY_STATUS = {
    401: _Meaning(RevorAuthenticationError, "Revor does not accept the API key", _PUT_A_KEY),
    403: _Meaning(RevorPermissionError, "The API key may not do this", _GIVE_PERMISSION),
    404: _Meaning(RevorNotFoundError, "Revor found nothing", "Check the id, and {host}."),
    408: _Meaning(RevorServerError, "The request took too long to arrive", "Try again later."),
    409: _Meaning(
        RevorConflictError,
        "The account does not fit the request, or cannot be used now",
        f"Check the account at {CONNECT_ACCOUNTS_URL}: it may be of another channel, unavailable for the moment, or "
        "have to be reconnected.",
    ),
    429: _BY_CODE["api_rate_limit_exceeded"]._replace(says_all=False),
}
_NOT_CANCELLED = _Meaning(
    RevorConflictError,
    "Revor did not cancel the job",
    "It may be about to begin: look at the job again, and cancel it while it is queued or scheduled.",
)
_OTHER_4XX = _Meaning(RevorRequestError, "Revor rejected the request", _FIX_THE_REQUEST)
_5XX = _Meaning(
    RevorServerError, "Revor could not respond", "Try again later; if it persists, give Revor's support the request id."
)
# Gateways use these in the same sense as Revor, so that they count without its envelope, too.
_ANYONES = (408, 429)

_CHECK_THE_WAY = "Check {host}, and what stands between Revor and Airflow: a proxy, a gateway, a login page."


@dataclass(frozen=True, slots=True)
class _Said:
    """What an error's body says, cleaned, however little of it is there."""

    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    is_revors: bool = False

    @classmethod
    def by(cls, value: Any) -> _Said:
        if not isinstance(value, dict):
            return cls()
        error = value.get("error")
        if not isinstance(error, dict):
            return cls(request_id=clean_id(value.get("request_id")))
        code, message = clean_id(error.get("code")), plain_text(error.get("message"))
        request_id = clean_id(error.get("request_id")) or clean_id(value.get("request_id"))
        # Gateways have errors of this shape, too: without Revor's `ok`, only a code that is Revor's counts.
        is_revors = bool(code or message) if value.get("ok") is False else _known(code) is not None
        return cls(code, message, request_id, is_revors)


def error_for(origin: str, response: Response, value: Any, conn_id: str | None, wait: float | None) -> RevorError:
    """
    Return the error that a response means.

    :param origin: Method and path of the request.
    :param response: The response, which is no success.
    :param value: Its body, decoded; :data:`NOT_JSON` if it is not JSON.
    :param conn_id: The Airflow connection; None for the one whose form is open.
    :param wait: The seconds to wait that the response asks for, or None.
    """
    said, names = _Said.by(value), Names.of(conn_id)
    meaning = _meaning(origin, response.status, said)
    words = said.message
    if meaning is None:
        what = (
            _redirect(response)
            if 300 <= response.status < 400
            else f"{_kind(response, value)}, not the documented JSON"
        )
        reason = f"Something other than Revor responded on {names.connection}: {what}."
        meaning = _Meaning(RevorResponseError, reason, _CHECK_THE_WAY)
    else:
        reason = f"{meaning.reason} on {names.connection}"
        if not said.is_revors:
            reason += f": the response was {_kind(response, value)}"
        elif words and not meaning.says_all:
            reason, words = f"{reason}: {words.rstrip('.')}", None
        reason += "."
    if not issubclass(meaning.error, RevorTransientError):
        wait = None
    asked = f"Wait at least {math.ceil(wait)} s before the next request. " if wait else ""
    return meaning.error.of(
        reason,
        asked + names.fill(meaning.advice),
        technical(origin, response.status, said.code, said.request_id),
        words,
        code=said.code,
        status_code=response.status,
        request_id=said.request_id,
        retry_after=wait,
    )


def lacks_endpoint(error: RevorError) -> bool:
    """
    Return whether Revor has no such endpoint: then the connection is wrong, and not an account or a job.

    :param error: The error.
    """
    return (error.code or "").lower() == "endpoint_not_found"


def technical(origin: str, status: int | None = None, code: str | None = None, request_id: str | None = None) -> str:
    """
    Return the technical rest of a message.

    :param origin: Method and path of the request; a path may hold an id that a peer made up.
    :param status: The HTTP status of the response; None if there was no response.
    :param code: Revor's code, cleaned.
    :param request_id: Revor's request id, cleaned.
    """
    asked = plain_text(origin) or ""
    if status is None:
        return asked
    response = f"{status} {code}" if code else str(status)
    return f"{asked}: {response}, {f'request_id {request_id}' if request_id else 'no request_id'}"


def _meaning(origin: str, status: int, said: _Said) -> _Meaning | None:
    """Return what a response means; None if it is neither Revor's word nor a status that says enough."""
    if said.is_revors and (meaning := _known(said.code)):
        return meaning
    if status >= 500:
        return _5XX
    if status == 409 and said.is_revors and origin.endswith("/cancel"):
        return _NOT_CANCELLED
    if status >= 400 and (said.is_revors or status in _ANYONES):
        return _BY_STATUS.get(status, _OTHER_4XX)
    return None


def _known(code: str | None) -> _Meaning | None:
    """Return what a code means; None for one that is not documented."""
    code = (code or "").lower()
    for part, meaning in _BY_PART_OF_CODE.items():
        if part in code:
            return meaning
    return _BY_CODE.get(code)


def _redirect(response: Response) -> str:
    try:
        host = urlsplit(response.headers.get("location", "")).hostname
    except ValueError:
        return "a redirect to an unreadable address, which is not followed"
    return f"a redirect to {clean_id(host) or 'the same host'}, which is not followed"


def _kind(response: Response, value: Any) -> str:
    """Name the kind of a body that is not Revor's envelope, without quoting it."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    size = len(response.content)
    if response.unread:
        return response.unread
    if not response.content:
        return "an empty body"
    if response.status < 300 and isinstance(value, dict):
        return "an object whose `ok` is not true"
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        return "JSON of another shape, with an `error` of another kind"
    if value is not NOT_JSON:
        return "JSON of another shape"
    if "html" in content_type or response.content[:200].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return f"an HTML page of {size} bytes"
    if "json" in content_type:
        return f"{size} bytes of JSON that cannot be read"
    return f"{size} bytes of {clean_id(content_type) or 'no stated type'}"
