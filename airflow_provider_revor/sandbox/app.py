"""The sandbox as one ASGI application. ``serving.py`` has the server for it."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from airflow_provider_revor.sandbox import api, control, outreach_api, outreach_control
from airflow_provider_revor.sandbox.errors import ApiError, error_response
from airflow_provider_revor.sandbox.faults import ApiRequestMiddleware, is_api_path
from airflow_provider_revor.sandbox.outreach import UnknownJobError
from airflow_provider_revor.sandbox.outreach_job import JobStateError
from airflow_provider_revor.sandbox.state import SandboxState, UnknownAccountError

_DESCRIPTION = """
A local Revor to develop and test Dags against: nothing here is real, and nobody is messaged.

**Revor API** answers as Revor does. Press *Authorize* and give the key that the sandbox printed at its start.

**Sandbox control** sets up what it answers, and needs no key.
"""


def create_app(state: SandboxState) -> FastAPI:
    """
    Put the application together.

    :param state: what it serves and changes.
    :return: the application; its documentation at ``/docs`` needs no network.
    """
    app = FastAPIOffline(
        redoc_url=None,
        title="Revor sandbox",
        version="v1",
        description=_DESCRIPTION,
        redirect_slashes=False,
        swagger_ui_parameters={"defaultModelsExpandDepth": 0, "displayRequestDuration": True},
    )
    app.state.sandbox = state
    app.include_router(api.router)
    app.include_router(outreach_api.router)
    app.include_router(control.router)
    app.include_router(outreach_control.router)
    app.add_middleware(ApiRequestMiddleware, state=state)

    @app.exception_handler(ApiError)
    async def refuse(request: Request, error: ApiError) -> Response:
        return error_response(request.state.request_id, error.status, error.code, error.message)

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        if is_api_path(request.url.path):
            return error_response(request.state.request_id, error.status_code, headers=error.headers)
        return await http_exception_handler(request, error)

    @app.exception_handler(ClientDisconnect)
    async def half_a_body(request: Request, error: ClientDisconnect) -> Response:
        # Nobody reads it, but without an answer uvicorn logs a failure of the sandbox's.
        return error_response(request.state.request_id, 400, "invalid_request")

    @app.exception_handler(UnknownAccountError)
    @app.exception_handler(UnknownJobError)
    async def not_there(request: Request, error: UnknownAccountError | UnknownJobError) -> Response:
        return await http_exception_handler(request, HTTPException(404, str(error)))

    @app.exception_handler(JobStateError)
    async def not_possible(request: Request, error: JobStateError) -> Response:
        return await http_exception_handler(request, HTTPException(409, str(error)))

    return app
