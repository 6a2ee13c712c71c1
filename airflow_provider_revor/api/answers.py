"""
What an answer of the Revor API means: an envelope, or an error.

Source: "Basics" of the Revor API reference: envelopes, errors and rate limits.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_revor.api.console import API_KEYS_URL, CONNECT_ACCOUNTS_URL
from airflow_provider_revor.api.wire import Request, Response
from airflow_provider_revor.exceptions import (
    RevorAuthenticationError,
    RevorConflictError,
    RevorError,
    RevorIdempotencyConflictError,
    RevorNotFoundError,
    RevorPermissionError,
    RevorRateLimitError,
    RevorRequestError,
    RevorResponseError,
    RevorServerError,
    RevorTransientError,
)

_LONGEST_TEXT = 500
# Seconds.
_CLOCK_TOLERANCE = 3.0

_BY_STATUS: dict[int, tuple[type[RevorError], str]] = {
    400: (RevorRequestError, "Mend the request: Revor refuses it as it is."),
    401: (
        RevorAuthenticationError,
        f"Put a valid API key into the connection's password; keys are made at {API_KEYS_URL}.",
    ),
    403: (
        RevorPermissionError,
        "Give the key the permission that this call needs (connect.accounts:read to list Connect accounts) "
        f"at {API_KEYS_URL}.",
    ),
    404: (RevorNotFoundError, "Check the id, and the connection's host."),
    408: (RevorServerError, "Try again later."),
    409: (
        RevorConflictError,
        "The account may be of another channel, not usable for the moment, or in need of being reconnected: see to it "
        f"at {CONNECT_ACCOUNTS_URL}.",
    ),
    429: (RevorRateLimitError, "Ask less often: all keys of one Revor user share the limit."),
}
_BY_CODE: dict[tuple[int, str | None], tuple[type[RevorError], str]] = {
    (404, "account_not_found"): (
        RevorNotFoundError,
        f"Check the account_id against the accounts at {CONNECT_ACCOUNTS_URL}.",
    ),
    (404, "external_api_job_not_found"): (
        RevorNotFoundError,
        "Check the job's id, and that the connection's key is of the user whose job it is.",
    ),
    (409, "idempotency_conflict"): (
        RevorIdempotencyConflictError,
        "Something else was asked for under this idempotency key before, and nothing was sent now. By default a task "
        "writes to a person once in a Dag run, whatever it says: see in Revor what became of the first message. To "
        "send another text, or from another account, give this person's task an `idempotency_key` of its own.",
    ),
}
_OTHER_4XX = (RevorRequestError, "Mend the request: Revor refuses it as it is.")
_5XX = (RevorServerError, "Try again later; if it stays, give Revor's support the request id.")


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    A decoded success.

    :param body: The JSON object, whose ``ok`` is true.
    :param origin: Which request on which connection it answers, for the messages of errors found later.
    :param clock_ahead: By how many seconds Revor's clock is ahead of this machine's; 0 if by too few to tell.
    :param date: The ``Date`` header, in seconds since the epoch by Revor's clock; None if there is none.
    """

    body: dict[str, Any]
    origin: str
    clock_ahead: float = 0.0
    date: float | None = None

    @property
    def items(self) -> list[Any]:
        """
        The items of a list.

        :raises RevorResponseError: if there is no list of them.
        """
        value = self.body.get("items")
        if not isinstance(value, list):
            raise self.malformed("items", "a list", value)
        return value

    @property
    def item(self) -> dict[str, Any]:
        """
        The item of a single resource.

        :raises RevorResponseError: if there is no such object.
        """
        value = self.body.get("item")
        if not isinstance(value, dict):
            raise self.malformed("item", "an object", value)
        return value

    def malformed(self, where: str, wanted: str, value: Any) -> RevorResponseError:
        """
        Return the error for a field that is not as documented, without its value: it may be personal.

        :param where: The field, such as ``items[3].can_send``.
        :param wanted: What is documented.
        :param value: What is there.
        """
        request_id = plain_text(self.body.get("request_id"))
        return RevorResponseError(
            f"Revor's answer to {self.origin} is not as documented: `{where}` should be {wanted}, not "
            f"{_KINDS[type(value)]} [request_id {request_id}]. Give Revor's support the request id.",
            status_code=200,
            request_id=request_id,
        )


def decode(request: Request, response: Response, conn_id: str) -> Envelope:
    """
    Return the envelope of a success.

    :param request: What was asked.
    :param response: What came back.
    :param conn_id: The Airflow connection, for the messages of errors.
    :return: The decoded answer.
    :raises RevorError: the one that the answer means.
    """
    origin = f"{request.method} {request.path} on connection {conn_id!r}"
    value = _json(response.content)
    if 200 <= response.status < 300 and not response.content and request.method != "GET":
        return Envelope({}, origin)
    if response.status >= 400:
        raise _refusal(response, value, origin)
    if 200 <= response.status < 300 and isinstance(value, dict) and value.get("ok") is True:
        return Envelope(value, origin, _clock_ahead(response), _date(response.headers.get("date", "")))
    raise _unreadable(response, value, origin)


_KINDS: dict[type, str] = {
    type(None): "null or missing",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}


def retry_after(response: Response) -> float | None:
    """
    Return the seconds that an answer asks to stay away.

    :return: ``Retry-After`` (seconds, or an HTTP date), else ``X-RateLimit-Window-Ms``; None if neither is
        there, can be read, or lies ahead.
    """
    asked = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", asked, re.ASCII):
        return float(asked) or None
    if (date := _date(asked)) is not None:
        return max(date - response.received_at, 0) or None
    window = response.headers.get("x-ratelimit-window-ms", "").strip()
    if re.fullmatch(r"\d{1,15}", window, re.ASCII):
        return int(window) / 1000 or None
    return None


def _clock_ahead(response: Response) -> float:
    date = _date(response.headers.get("date", ""))
    ahead = 0 if date is None else date - response.received_at
    # The header leaves out fractions of a second, and the answer was under way.
    return ahead if abs(ahead) > _CLOCK_TOLERANCE else 0


def _date(value: str) -> float | None:
    """Return an HTTP date in seconds since the epoch; None if it is none."""
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _refusal(response: Response, value: Any, origin: str) -> RevorError:
    status = response.status
    code, message, request_id = _error_of(value)
    cls, advice = _BY_CODE.get((status, code)) or _BY_STATUS.get(status) or (_5XX if status >= 500 else _OTHER_4XX)
    wait = retry_after(response) if issubclass(cls, RevorTransientError) else None
    if wait is not None:
        advice = f"Revor asks to stay away for {wait:.0f} s. {advice}"
    return cls(
        f"Revor answered {origin} with {status} {code or '(no code)'}: "
        f"{message or _shape(response)} [request_id {request_id}]. {advice}",
        code=code,
        status_code=status,
        request_id=request_id,
        retry_after=wait,
    )


def _unreadable(response: Response, value: Any, origin: str) -> RevorResponseError:
    code, message, request_id = _error_of(value)
    if 300 <= response.status < 400:
        what = f"a redirect to {_host_of(response.headers.get('location', ''))}, which is not followed"
    elif isinstance(value, dict):
        what = f"an object whose `ok` is not true (code {code}: {message})"
    else:
        what = _shape(response)
    return RevorResponseError(
        f"Revor answered {origin} with {response.status} and {what}, not with the documented JSON "
        f"[request_id {request_id}]. Check the connection's host, and what stands between it and Airflow.",
        code=code,
        status_code=response.status,
        request_id=request_id,
    )


def _error_of(value: Any) -> tuple[str | None, str | None, str | None]:
    """Return the code, message and request id of an error's envelope, however little of it is there."""
    if not isinstance(value, dict):
        return None, None, None
    error = value.get("error")
    if not isinstance(error, dict):
        error = {}
    request_id = plain_text(error.get("request_id")) or plain_text(value.get("request_id"))
    return plain_text(error.get("code")), plain_text(error.get("message")), request_id


def _host_of(location: str) -> str:
    try:
        return urlsplit(location).hostname or "the same host"
    except ValueError:
        return "an unreadable address"


def _shape(response: Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    return f"{len(response.content)} bytes of {plain_text(kind) or 'no stated type'}"


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def plain_text(value: Any) -> str | None:
    """Return a string of Revor's on one line and of bounded length: it goes into messages and logs."""
    if not isinstance(value, str) or not value.strip():
        return None
    line = " ".join("".join(c if c.isprintable() else " " for c in value[:_LONGEST_TEXT]).split())
    return line or None
