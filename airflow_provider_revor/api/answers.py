"""
Decoding the responses of the Revor API: an envelope, or an error.

Source: "Basics" of the Revor API reference: envelopes, errors and rate limits.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_revor.api.errors import NOT_JSON, error_for, technical
from airflow_provider_revor.api.naming import Names
from airflow_provider_revor.api.text import clean_id, plain_text
from airflow_provider_revor.api.versions import DEFAULT_VERSION, ApiVersion, version_of
from airflow_provider_revor.api.wire import Request, Response
from airflow_provider_revor.exceptions import RevorResponseError

__all__ = ["Envelope", "clean_id", "decode", "plain_text", "retry_after"]

# Seconds.
_CLOCK_TOLERANCE = 3.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    A decoded success.

    :param body: The JSON object, whose ``ok`` is true; not in the repr, because it may hold personal data.
    :param origin: Method and path of the request, for the messages of errors found later.
    :param clock_ahead: By how many seconds Revor's clock is ahead of this machine's; 0 if the difference is small.
    :param date: The ``Date`` header, in seconds since the epoch by Revor's clock; None if there is none.
    :param conn_id: The Airflow connection, for the messages of errors found later.
    :param status: The HTTP status.
    :param version: The version of the API that responded.
    """

    body: dict[str, Any] = field(repr=False)
    origin: str
    clock_ahead: float = 0.0
    date: float | None = None
    conn_id: str | None = ""
    status: int = 200
    version: ApiVersion = DEFAULT_VERSION

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
        request_id = clean_id(self.body.get("request_id"))
        connection = Names.of(self.conn_id).connection
        return RevorResponseError.of(
            f"Revor's response on {connection} is not as documented: `{where}` should be {wanted}, not "
            f"{_KINDS[type(value)]}.",
            "Give Revor's support the request id.",
            technical(self.origin, self.status, request_id=request_id),
            status_code=self.status,
            request_id=request_id,
        )


def decode(request: Request, response: Response, conn_id: str | None) -> Envelope:
    """
    Return the envelope of a success.

    :param request: The request.
    :param response: The response.
    :param conn_id: The Airflow connection, for the messages of errors; None for the one whose form is open.
    :return: The decoded response.
    :raises RevorError: the error that the response means.
    """
    success = 200 <= response.status < 300
    origin = f"{request.method} {request.path}"
    if success and not response.content and request.method != "GET":
        return Envelope({}, origin, conn_id=conn_id, status=response.status)
    value = _json(response.content)
    # v2 may omit `ok`; a member that is documented is then enough.
    ok = version_of(request.path) is ApiVersion.V2 and isinstance(value, dict) and value.get("error") is None
    if success and isinstance(value, dict) and value.get("ok", ok) is True:
        date = _date(response.headers.get("date", ""))
        ahead = _clock_ahead(date, response.received_at)
        return Envelope(value, origin, ahead, date, conn_id, response.status, version_of(request.path))
    raise error_for(origin, response, value, conn_id, retry_after(response))


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
    Return the seconds to wait that a response asks for.

    ``Retry-After`` may be seconds or an HTTP date, which counts from the response's own ``Date``: this machine's clock
    may differ. ``X-RateLimit-Window-Ms`` counts on 429 alone, because Revor may send it with any response.

    :return: None if the response does not ask for a wait, or not in a way that can be read.
    """
    asked = response.headers.get("retry-after", "").strip()
    # Two headers arrive as one, with a comma between: the longer wait counts.
    numbers = asked.split(",")
    if all(re.fullmatch(r"\s*\d{1,12}(\.\d{1,6})?\s*", number, re.ASCII) for number in numbers):
        return max(map(float, numbers)) or None
    if (until := _date(asked)) is not None:
        sent = _date(response.headers.get("date", ""))
        return max(until - (response.received_at if sent is None else sent), 0) or None
    window = response.headers.get("x-ratelimit-window-ms", "").strip() if response.status == 429 else ""
    if re.fullmatch(r"\d{1,15}", window, re.ASCII):
        return int(window) / 1000 or None
    return None


def _clock_ahead(date: float | None, received_at: float) -> float:
    ahead = 0 if date is None else date - received_at
    # The header leaves out fractions of a second, and the response takes time to arrive.
    return ahead if abs(ahead) > _CLOCK_TOLERANCE else 0


def _date(value: str) -> float | None:
    """Return an HTTP date in seconds since the epoch; None if it cannot be read."""
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return NOT_JSON
