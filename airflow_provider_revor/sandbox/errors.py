"""The errors of the API, and the envelope that they come in."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi.responses import JSONResponse

from airflow_provider_revor.sandbox.models import CHANNELS, ErrorAnswer, ErrorDetail

#: code: (status, message)
ERRORS = {
    "invalid_channel": (400, f"channel must be one of: {', '.join(CHANNELS)}."),
    "invalid_can_send": (400, "can_send must be one of: true, false, 1, 0."),
    "api_key_missing": (401, "Send the API key as Authorization: Bearer KEY, or as x-api-key: KEY."),
    "api_key_invalid": (401, "The API key is not valid."),
    "permission_denied": (403, "The API key lacks the permission connect.accounts:read."),
    "api_rate_limit_exceeded": (429, "Too many requests."),
}


class ApiError(Exception):
    """A request that is refused with one of the documented codes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.status, self.message = ERRORS[code]


def default_code(status: int) -> str:
    """
    Tell the code that goes with a status.

    :param status: an HTTP error status.
    :return: the last of the documented codes with this status, or else the status in words (``not_found``).
    """
    documented = [code for code, (its_status, _) in ERRORS.items() if its_status == status]
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
    """
    Make an answer that is an error.

    :param request_id: the id of the request that failed.
    :param status: the HTTP status.
    :param code: Revor's code; the one that goes with the status if left out.
    :param message: a sentence for people; the code's own if left out.
    :param headers: more headers.
    :return: the answer.
    """
    code = code or default_code(status)
    if message is None:
        _, message = ERRORS.get(code, (status, code.replace("_", " ").capitalize() + "."))
    body = ErrorAnswer(error=ErrorDetail(code=code, message=message, request_id=request_id))
    return JSONResponse(body.model_dump(), status, dict(headers or {}))
