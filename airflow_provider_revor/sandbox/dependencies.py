"""What the endpoints ask FastAPI for."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from airflow_provider_revor.sandbox.state import SandboxState

_BEARER = HTTPBearer(scheme_name="Bearer", description="`Authorization: Bearer KEY`", auto_error=False)
_HEADER = APIKeyHeader(name="x-api-key", scheme_name="x-api-key", description="`x-api-key: KEY`", auto_error=False)


async def _state(request: Request) -> SandboxState:
    return cast(SandboxState, request.app.state.sandbox)


State = Annotated[SandboxState, Depends(_state)]


async def authorize(
    state: State,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    header: Annotated[str | None, Security(_HEADER)],
) -> None:
    """
    Let a request to Revor's API pass or not.

    :param state: what knows the key.
    :param bearer: the key in one header.
    :param header: the key in the other.
    :raises ApiError: if it may not pass.
    """
    state.check_key(bearer.credentials if bearer else header)
