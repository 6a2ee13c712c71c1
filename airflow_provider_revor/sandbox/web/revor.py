"""Revor's API, as far as the sandbox has it: both versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import ValidationError
from pydantic_core import from_json

from airflow_provider_revor.sandbox.contract.accounts import AccountList
from airflow_provider_revor.sandbox.contract.errors import (
    ANY_REQUEST,
    ApiError,
    UnknownIdError,
    error_answers,
    problems,
)
from airflow_provider_revor.sandbox.contract.outreach import (
    Body,
    Credits,
    Dispatch,
    EmailDispatch,
    Job,
    JobAnswer,
    JobReceiptAnswer,
    LinkedinDispatch,
    PostLike,
    WhatsappDispatch,
)
from airflow_provider_revor.sandbox.web.pages import DISPATCH, POST_LIKE, parameter
from airflow_provider_revor.sandbox.world.memory import Write
from airflow_provider_revor.sandbox.world.world import World

T = TypeVar("T")

_CHANNELS = {name: name for name in ("email", "linkedin", "whatsapp")}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_BODIES: dict[Any, type[Dispatch]] = {
    "email": EmailDispatch,
    "linkedin": LinkedinDispatch,
    "whatsapp": WhatsappDispatch,
}
_BEARER = HTTPBearer(scheme_name="Bearer", description="`Authorization: Bearer KEY`", auto_error=False)
_HEADER = APIKeyHeader(name="x-api-key", scheme_name="x-api-key", description="`x-api-key: KEY`", auto_error=False)


# Who asks


@dataclass(frozen=True)
class Caller:
    """Whose request it is, and the world that it is about."""

    world: World
    owner: str
    api_key: str


async def _any_key(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    header: Annotated[str | None, Security(_HEADER)],
) -> Caller:
    world: World = request.app.state.world
    key = bearer.credentials if bearer else header
    return Caller(world, world.keys.owner(key), key or "")


AnyKey = Annotated[Caller, Depends(_any_key)]


async def _permitted_key(caller: AnyKey) -> Caller:
    caller.world.keys.check_permission(caller.api_key)
    return caller


Permitted = Annotated[Caller, Depends(_permitted_key)]


# What the endpoints do


async def list_connect_accounts(request: Request, caller: Permitted) -> AccountList:
    """List accounts."""
    channel = _choice(request, "channel", _CHANNELS)
    can_send = _choice(request, "can_send", _BOOLEANS)
    items = caller.world.accounts(channel, can_send, owner=caller.owner)
    return AccountList(request_id=request.state.request_id, items=items)


def _choice(request: Request, name: str, choices: Mapping[str, T]) -> T | None:
    values = request.query_params.getlist(name)
    if not values:
        return None
    if len(values) > 1 or values[0] not in choices:
        raise ApiError(f"invalid_{name}")
    return choices[values[0]]


async def create_dispatch(request: Request, caller: Permitted) -> JobReceiptAnswer:
    """
    Send one message; the response has the job that does so.

    A replay gets the original item. The sandbox's own choice: its `request_id` is new, the order of a body's fields
    does not matter, and the codes `invalid_request`, `sandbox_full` and `account_…`, but for `account_not_found`.
    """
    body = await _read_object(request)
    channel = body.get("channel")
    return _create(request, caller, _BODIES.get(channel, Dispatch) if isinstance(channel, str) else Dispatch, body)


async def create_post_like(request: Request, caller: Permitted) -> JobReceiptAnswer:
    """
    Like at most one relevant recent post of a profile; the response has the job that does so.

    A job that finds no such post succeeds with the result's status `skipped`.
    """
    return _create(request, caller, PostLike, await _read_object(request))


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        body = from_json(await request.body(), allow_inf_nan=False)
    except ValueError:
        raise ApiError("invalid_request", "The body is not UTF-8 JSON.") from None
    if not isinstance(body, dict):
        raise ApiError("invalid_request", "The body is not a JSON object.")
    return body


def _create(request: Request, caller: Caller, shape: type[Body], body: dict[str, Any]) -> JobReceiptAnswer:
    try:
        task = shape.model_validate(body).task(body)
    except ValidationError as error:
        raise ApiError("invalid_request", f"{'; '.join(problems(error))}.") from None
    write = Write(caller.owner, caller.api_key, request.url.path, request.headers.get("idempotency-key") or None)
    item = caller.world.create_job(task, write)
    return JobReceiptAnswer(request_id=request.state.request_id, item=item)


async def read_job(request: Request, caller: Permitted) -> JobAnswer:
    """
    Return a job as it is now.

    `succeeded`, `failed` and `cancelled` are the end. Unless it was scripted otherwise, a job has succeeded at once.
    """
    return _job(request, caller.world.job, caller)


async def cancel_job(request: Request, caller: Permitted) -> JobAnswer:
    """
    Cancel a job that is `queued` or `scheduled`; one that was cancelled before stays so.

    The sandbox's own choice: the response has the job, and one that runs or has ended is left alone, which the code
    `job_not_cancellable` says.
    """
    return _job(request, caller.world.cancel_job, caller)


def _job(request: Request, get: Callable[[str, str], Job], caller: Caller) -> JobAnswer:
    try:
        item = get(request.path_params["job_id"], caller.owner)
    except UnknownIdError:
        raise ApiError("external_api_job_not_found") from None
    return JobAnswer(request_id=request.state.request_id, item=item)


async def read_credits(request: Request, caller: AnyKey) -> Credits:
    """Return what is left to spend; any valid key may ask. It is a number only: the sandbox charges nothing."""
    return Credits(request_id=request.state.request_id, available_credits=caller.world.credits)


# Where they are


def _router(version: str, sendable: str, job_path: str) -> APIRouter:
    router = APIRouter(prefix=f"/api/{version}", tags=[f"Revor API {version}"], responses=error_answers(*ANY_REQUEST))
    router.get(
        "/connect/accounts",
        summary="List Connect accounts",
        description=f"List the accounts that messages can be sent from. An account can send when {sendable}.",
        response_description="The accounts, all in one response.",
        responses=error_answers("invalid_channel", "invalid_can_send"),
        openapi_extra={
            "parameters": [
                parameter("channel", "query", "Only accounts of this channel.", _CHANNELS),
                parameter("can_send", "query", "Only accounts that may send, or only those that may not.", _BOOLEANS),
            ]
        },
    )(list_connect_accounts)
    router.post("/outreach/dispatches", summary="Create an outreach dispatch", **DISPATCH)(create_dispatch)
    router.post("/outreach/linkedin/post-likes", summary="Like a LinkedIn post", **POST_LIKE)(create_post_like)
    router.get(
        job_path,
        summary="Check an outreach job",
        response_description="The job as it is now, even if it failed.",
        responses=error_answers("external_api_job_not_found"),
        openapi_extra=_JOB_ID,
    )(read_job)
    return router


_JOB_ID = {"parameters": [parameter("job_id", "path", "The `id` of the response that accepted the job.")]}

v1 = _router("v1", "its `status` is `ok` and its `can_send` is true", "/outreach/jobs/{job_id}")
v2 = _router("v2", "its `can_send` is true; `status` and `lifecycle_status` only explain", "/jobs/{job_id}")
v2.post(
    "/jobs/{job_id}/cancel",
    summary="Cancel an outreach job",
    response_description="The job, cancelled.",
    responses=error_answers("external_api_job_not_found", "job_not_cancellable"),
    openapi_extra=_JOB_ID,
)(cancel_job)
v2.get("/credits", summary="Read the credits", response_description="The credits left.")(read_credits)
