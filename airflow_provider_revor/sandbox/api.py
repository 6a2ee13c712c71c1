"""Revor's API, as far as the sandbox has it: Connect accounts. ``outreach_api.py`` has the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request

from airflow_provider_revor.sandbox.dependencies import State, authorize
from airflow_provider_revor.sandbox.errors import ANY_REQUEST, ApiError, error_answers
from airflow_provider_revor.sandbox.models import CHANNELS, AccountList

T = TypeVar("T")

_CHANNELS = {name: name for name in CHANNELS}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


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


router = APIRouter(prefix="/api/v1", dependencies=[Depends(authorize)], responses=error_answers(*ANY_REQUEST))


@router.get(
    "/connect/accounts",
    tags=["Revor API"],
    summary="List Connect accounts",
    response_description="The accounts, all of them in one answer.",
    responses=error_answers("invalid_channel", "invalid_can_send"),
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
