"""Revor's API, as far as the sandbox has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from airflow_provider_revor.sandbox.dependencies import State
from airflow_provider_revor.sandbox.errors import ERRORS, ApiError
from airflow_provider_revor.sandbox.models import CHANNELS, AccountList, ErrorAnswer

T = TypeVar("T")

_BEARER = HTTPBearer(scheme_name="Bearer", description="`Authorization: Bearer KEY`", auto_error=False)
_HEADER = APIKeyHeader(name="x-api-key", scheme_name="x-api-key", description="`x-api-key: KEY`", auto_error=False)

_CHANNELS = {name: name for name in CHANNELS}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


async def _authorize(
    state: State,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    header: Annotated[str | None, Security(_HEADER)],
) -> None:
    state.check_key(bearer.credentials if bearer else header)


def _choice(request: Request, name: str, choices: Mapping[str, T]) -> T | None:
    values = request.query_params.getlist(name)
    if not values:
        return None
    if len(values) > 1 or values[0] not in choices:
        raise ApiError(f"invalid_{name}")
    return choices[values[0]]


def _query(name: str, choices: Mapping[str, object], description: str) -> dict[str, Any]:
    # Written by hand: FastAPI would check a declared parameter before the key, and answer 422.
    schema = {"type": "string", "enum": list(choices)}
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _error_answers() -> dict[int | str, dict[str, Any]]:
    answers: dict[int | str, dict[str, Any]] = {}
    for code, (status, message) in ERRORS.items():
        example = {
            "ok": False,
            "error": {"code": code, "message": message, "request_id": "req_0123456789abcdef"},
        }
        answer = answers.setdefault(status, {"model": ErrorAnswer, "content": {"application/json": {"examples": {}}}})
        answer["content"]["application/json"]["examples"][code] = {"value": example}
        answer["description"] = ", ".join(f"`{name}`" for name in answer["content"]["application/json"]["examples"])
    return answers


router = APIRouter(prefix="/api/v1", dependencies=[Depends(_authorize)], responses=_error_answers())


@router.get(
    "/connect/accounts",
    tags=["Revor API"],
    summary="List Connect accounts",
    response_description="The accounts, all of them in one answer.",
    openapi_extra={
        "parameters": [
            _query("channel", _CHANNELS, "Only accounts of this channel."),
            _query("can_send", _BOOLEANS, "Only accounts that may send, or only those that may not."),
        ]
    },
)
async def list_connect_accounts(request: Request, state: State) -> AccountList:
    """
    List the accounts that messages can be sent from.

    An account can send when its `status` is `ok` and its `can_send` is true.
    """
    channel = _choice(request, "channel", _CHANNELS)
    can_send = _choice(request, "can_send", _BOOLEANS)
    return AccountList(request_id=request.state.request_id, items=state.accounts(channel, can_send))
