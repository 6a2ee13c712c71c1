"""
Requests and answers of the Revor API as values.

Source: "Basics" of the Revor API reference: envelopes, errors, rate limits and idempotency.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_revor.api.console import API_KEYS_URL
from airflow_provider_revor.exceptions import (
    RevorAuthenticationError,
    RevorConflictError,
    RevorError,
    RevorNotFoundError,
    RevorPermissionError,
    RevorRateLimitError,
    RevorRequestError,
    RevorResponseError,
    RevorServerError,
    RevorTransientError,
    RevorValueError,
)

API_ROOT = "/api/v1"

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
# Plain strings: a Dag's parse does not pay for compiling what only a request needs.
_HEADER_SAFE = r"[\x21-\x7e]+"
_PATH_SAFE = r"/[^\s\\?#\x00-\x1f\x7f]*"
_LONGEST_TEXT = 500

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
    409: (RevorConflictError, "See Revor's message for what conflicts."),
    429: (RevorRateLimitError, "Ask less often: all keys of one Revor user share the limit."),
}
_OTHER_4XX = (RevorRequestError, "Mend the request: Revor refuses it as it is.")
_5XX = (RevorServerError, "Try again later; if it stays, give Revor's support the request id.")


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request to the Revor API.

    :param method: The HTTP method.
    :param path: The path from the host on, such as ``/api/v1/connect/accounts``; a path that does not begin
        with ``/api/`` is taken from ``/api/v1`` on.
    :param params: The query; None values are left out, booleans become ``true`` and ``false``.
    :param body: The JSON body; None for none.
    :param idempotency_key: Sent as ``Idempotency-Key``: the same key and body never act twice.
    :raises RevorValueError: if the method, the path or the key cannot be sent as it is; the body, once it is sent.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        method = self.method.upper()
        if method not in _METHODS:
            raise RevorValueError(f"{self.method!r} is no HTTP method of the Revor API: {sorted(_METHODS)}.")
        path = "/" + self.path.lstrip("/")
        if not path.startswith("/api/"):
            path = API_ROOT + path
        if "://" in self.path or self.path.startswith("//") or not re.fullmatch(_PATH_SAFE, path):
            raise RevorValueError(
                f"{self.path!r} is no path of the Revor API: give it as in {API_ROOT}/connect/accounts, "
                "without host, query or fragment; the query goes into `params`."
            )
        if self.idempotency_key is not None and not re.fullmatch(_HEADER_SAFE, self.idempotency_key):
            raise RevorValueError("An idempotency key is one or more printable ASCII characters without spaces.")
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "params", {k: _query(v) for k, v in self.params.items() if v is not None})

    @property
    def repeatable(self) -> bool:
        """Whether sending it again cannot act twice."""
        return self.method == "GET" or self.idempotency_key is not None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that this request brings along."""
        headers = {"Accept": "application/json"}
        if self.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers

    @property
    def content(self) -> bytes | None:
        """
        The body as UTF-8 JSON.

        :raises RevorValueError: if the body is not plain JSON.
        """
        if self.body is None:
            return None
        try:
            return json.dumps(self.body, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as e:
            raise RevorValueError(f"The body of {self.method} {self.path} is not plain JSON: {e}") from e


def _query(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Response:
    """
    One answer of the Revor API.

    :param status: The HTTP status.
    :param headers: The headers, their names in lower case.
    :param content: The body.
    :param received_at: When it came, in seconds since the epoch: what a date in it is held against.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    received_at: float


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    A decoded success.

    :param body: The JSON object, whose ``ok`` is true.
    :param origin: Which request on which connection it answers, for the messages of errors found later.
    """

    body: dict[str, Any]
    origin: str

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

    def malformed(self, where: str, wanted: str, value: Any) -> RevorResponseError:
        """
        Return the error for a field that is not as documented, without its value: it may be personal.

        :param where: The field, such as ``items[3].can_send``.
        :param wanted: What is documented.
        :param value: What is there.
        """
        request_id = _text(self.body.get("request_id"))
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
        return Envelope(value, origin)
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
    if asked:
        try:
            date = parsedate_to_datetime(asked)
            ahead = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - response.received_at
        except (ValueError, OverflowError, TypeError):
            pass
        else:
            return ahead if ahead > 0 else None
    window = response.headers.get("x-ratelimit-window-ms", "").strip()
    if re.fullmatch(r"\d{1,15}", window, re.ASCII):
        return int(window) / 1000 or None
    return None


def _refusal(response: Response, value: Any, origin: str) -> RevorError:
    status = response.status
    cls, advice = _BY_STATUS.get(status, _5XX if status >= 500 else _OTHER_4XX)
    wait = retry_after(response) if issubclass(cls, RevorTransientError) else None
    if wait is not None:
        advice = f"Revor asks to stay away for {wait:.0f} s. {advice}"
    code, message, request_id = _error_of(value)
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
    request_id = _text(error.get("request_id")) or _text(value.get("request_id"))
    return _text(error.get("code")), _text(error.get("message")), request_id


def _host_of(location: str) -> str:
    try:
        return urlsplit(location).hostname or "the same host"
    except ValueError:
        return "an unreadable address"


def _shape(response: Response) -> str:
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    return f"{len(response.content)} bytes of {_text(kind) or 'no stated type'}"


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    """Return a string of Revor's on one line and of bounded length: it goes into messages and logs."""
    if not isinstance(value, str) or not value.strip():
        return None
    line = " ".join("".join(c if c.isprintable() else " " for c in value[:_LONGEST_TEXT]).split())
    return line or None
