"""The sandbox as one ASGI application; ``serving.py`` has the server for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from airflow_provider_revor.sandbox.contract.errors import (
    ApiError,
    RefusedError,
    UnknownIdError,
    error_response,
    is_api_path,
)
from airflow_provider_revor.sandbox.world.world import World

_DESCRIPTION = """
A local Revor to develop and test Dags against: nothing here is real, and nobody is messaged.

**Revor API v1** and **v2** respond as Revor does, and see the same accounts and jobs. Press *Authorize* and give the
key that the sandbox printed at its start.

**Sandbox control** sets up its responses, and needs no key.
"""


def create_app(world: World, *routers: APIRouter) -> FastAPI:
    """Put the application together; its documentation at ``/docs`` needs no network."""
    app = FastAPIOffline(
        redoc_url=None,
        title="Revor sandbox",
        version="v1 and v2",
        description=_DESCRIPTION,
        redirect_slashes=False,
        swagger_ui_parameters={"defaultModelsExpandDepth": 0, "displayRequestDuration": True},
    )
    app.openapi = partial(_with_nulls, app, app.openapi)  # type: ignore[method-assign]
    app.state.world = world
    for router in routers:
        app.include_router(router)

    @app.exception_handler(ApiError)
    async def refuse(request: Request, error: ApiError) -> Response:
        return error_response(request.state.request_id, error.status, error.code, error.message)

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        if is_api_path(request.url.path):
            code = "endpoint_not_found" if error.status_code == 404 else None
            return error_response(request.state.request_id, error.status_code, code, headers=error.headers)
        return await http_exception_handler(request, error)

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ValidationError)
    async def not_valid(request: Request, error: RequestValidationError | ValidationError) -> Response:
        # Without the input, which may be someone's address; escaped, because a name may be a lone surrogate.
        problems = [{name: each[name] for name in ("loc", "msg", "type")} for each in error.errors()]
        return Response(json.dumps({"detail": problems}), 422, media_type="application/json")

    @app.exception_handler(ClientDisconnect)
    async def half_a_body(request: Request, error: ClientDisconnect) -> Response:
        # The client is gone, but without a response uvicorn would log an error.
        return error_response(request.state.request_id, 400, "invalid_request")

    @app.exception_handler(UnknownIdError)
    async def not_there(request: Request, error: UnknownIdError) -> Response:
        return await http_exception_handler(request, HTTPException(404, str(error)))

    @app.exception_handler(RefusedError)
    async def not_possible(request: Request, error: RefusedError) -> Response:
        return await http_exception_handler(request, HTTPException(409, str(error)))

    return app


def _with_nulls(app: FastAPI, openapi: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    # FastAPI leaves nulls out, also of examples, where they have a meaning.
    schema = openapi()
    for route in app.routes:
        if isinstance(route, APIRoute) and (body := (route.openapi_extra or {}).get("requestBody")):
            for method in route.methods:
                content = schema["paths"][route.path][method.lower()]["requestBody"]["content"]
                content["application/json"]["examples"] = body["content"]["application/json"]["examples"]
    return schema
