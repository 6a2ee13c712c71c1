"""What the endpoints ask FastAPI for."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from airflow_provider_revor.sandbox.state import SandboxState


async def _state(request: Request) -> SandboxState:
    return cast(SandboxState, request.app.state.sandbox)


State = Annotated[SandboxState, Depends(_state)]
