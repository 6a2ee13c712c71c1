"""Revor's API, as far as the sandbox has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from airflow_provider_revor.sandbox.contract.accounts import AccountList
from airflow_provider_revor.sandbox.contract.errors import ANY_REQUEST, ApiError, error_answers
from airflow_provider_revor.sandbox.contract.outreach import (
    Body,
    Dispatch,
    EmailDispatch,
    JobAnswer,
    JobReceiptAnswer,
    LinkedinDispatch,
    PostLike,
    WhatsappDispatch,
)
from airflow_provider_revor.sandbox.world.world import UnknownIdError, World, Write

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


@dataclass(frozen=True)
class Caller:
    """Whose request it is, and the world that it is about."""

    world: World
    owner: str
    api_key: str


async def authorize(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    header: Annotated[str | None, Security(_HEADER)],
) -> Caller:
    """Let a request pass by the key in one header or the other; ApiError if it may not."""
    world: World = request.app.state.world
    key = bearer.credentials if bearer else header
    return Caller(world, world.keys.owner(key), key or "")


Authorized = Annotated[Caller, Depends(authorize)]


# The pages' description of what requests send is written by hand: FastAPI would parse what is declared before the
# key is checked, or say that the response may be a 422.


def _parameter(name: str, place: str, description: str, choices: Mapping[str, object] | None = None) -> dict[str, Any]:
    schema = {"type": "string", **({"enum": list(choices)} if choices else {})}
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}


def _body(shape: Any, *examples: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    schema = TypeAdapter(shape).json_schema()
    content = {
        "schema": _in_one_piece(schema, schema.get("$defs", {})),
        "examples": {name: {"value": value} for name, value in examples},
    }
    description = "With the same API key, path and body again it creates no second job; another body is rejected."
    return {
        "parameters": [_parameter("Idempotency-Key", "header", description)],
        "requestBody": {"required": True, "content": {"application/json": content}},
    }


def _in_one_piece(node: Any, models: Mapping[str, Any]) -> Any:
    # A reference would look for its model in the whole document, where only what FastAPI knows of is.
    if isinstance(node, list):
        return [_in_one_piece(each, models) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _in_one_piece(models[node["$ref"].rpartition("/")[2]], models)
    return {name: _in_one_piece(value, models) for name, value in node.items() if name != "$defs"}


_DANA = "https://linkedin.example.com/in/dana-example"


def _dispatch(
    channel: str, recipient: dict[str, str], content: dict[str, Any], **more: Any
) -> tuple[str, dict[str, Any]]:
    account = {"account_id": f"acc_{channel}_anna", "channel": channel, "action": "outreach"}
    return channel, {**account, "recipient": recipient, "content": content, **more}


_DISPATCH = _body(
    EmailDispatch | LinkedinDispatch | WhatsappDispatch,
    _dispatch(
        "email",
        recipient={"address": "dana@example.com", "name": "Dana Example"},
        content={"subject": "Hello", "text": "Hello Dana", "html": "<p>Hello Dana</p>"},
        metadata={"campaign": "spring"},
        min_channel_task_interval_seconds=240,
    ),
    _dispatch("linkedin", recipient={"profile_url": _DANA}, content={"text": "Hello Dana"}),
    _dispatch(
        "whatsapp",
        recipient={"phone": "+1 202 555 0123"},
        content={"text": "Hello Dana", "attachments": [{"filename": "hello.txt", "contentBase64": "SGVsbG8="}]},
    ),
)
_POST_LIKE = _body(
    PostLike,
    ("by topic", {"account_id": "acc_linkedin_anna", "profile_url": _DANA, "topic": "data engineering"}),
    (
        "with the only account",
        {"profile_url": _DANA, "intent": "congratulate on a release", "post_limit": 5, "locale": "en"},
    ),
)
_ACCOUNT_ERRORS = ("account_channel_mismatch", "account_reconnect_required", "account_unavailable")
_WRITE_ERRORS = ("invalid_request", "account_not_found", "idempotency_conflict", *_ACCOUNT_ERRORS, "sandbox_full")
_NO_QUEUE: dict[int | str, dict[str, Any]] = {
    503: {"description": "The worker queue is unavailable: try later with the same key. Here it is so only as a fault."}
}

router = APIRouter(
    prefix="/api/v1", tags=["Revor API"], dependencies=[Depends(authorize)], responses=error_answers(*ANY_REQUEST)
)


@router.get(
    "/connect/accounts",
    summary="List Connect accounts",
    response_description="The accounts, all in one response.",
    responses=error_answers("invalid_channel", "invalid_can_send"),
    openapi_extra={
        "parameters": [
            _parameter("channel", "query", "Only accounts of this channel.", _CHANNELS),
            _parameter("can_send", "query", "Only accounts that may send, or only those that may not.", _BOOLEANS),
        ]
    },
)
async def list_connect_accounts(request: Request, caller: Authorized) -> AccountList:
    """
    List the accounts that messages can be sent from.

    An account can send when its `status` is `ok` and its `can_send` is true.
    """
    channel = _choice(request, "channel", _CHANNELS)
    can_send = _choice(request, "can_send", _BOOLEANS)
    return AccountList(
        request_id=request.state.request_id, items=caller.world.accounts(channel, can_send, owner=caller.owner)
    )


def _choice(request: Request, name: str, choices: Mapping[str, T]) -> T | None:
    values = request.query_params.getlist(name)
    if not values:
        return None
    if len(values) > 1 or values[0] not in choices:
        raise ApiError(f"invalid_{name}")
    return choices[values[0]]


@router.post(
    "/outreach/dispatches",
    status_code=202,
    summary="Create an outreach dispatch",
    response_description="The job was created, now or before.",
    responses={**error_answers(*_WRITE_ERRORS), **_NO_QUEUE},
    openapi_extra=_DISPATCH,
)
async def create_dispatch(request: Request, caller: Authorized) -> JobReceiptAnswer:
    """
    Send one message; the response has the job that does so.

    A replay gets the original item. The sandbox's own choice: its `request_id` is new, the order of a body's fields
    does not matter, and the codes `invalid_request` and `account_…`, but for `account_not_found`.
    """
    body = await _read_object(request)
    channel = body.get("channel")
    return _create(request, caller, _BODIES.get(channel, Dispatch) if isinstance(channel, str) else Dispatch, body)


@router.post(
    "/outreach/linkedin/post-likes",
    status_code=202,
    summary="Like a LinkedIn post",
    response_description="The job was created, now or before.",
    responses={**error_answers(*_WRITE_ERRORS, "account_id_required"), **_NO_QUEUE},
    openapi_extra=_POST_LIKE,
)
async def create_post_like(request: Request, caller: Authorized) -> JobReceiptAnswer:
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
        # Only where and what: the value may be someone's address.
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        named = (f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}" for each in problems)
        raise ApiError("invalid_request", f"{'; '.join(named)}.") from None
    write = Write(caller.owner, caller.api_key, request.url.path, request.headers.get("idempotency-key"))
    item = caller.world.create_job(task, write)
    return JobReceiptAnswer(request_id=request.state.request_id, item=item)


@router.get(
    "/outreach/jobs/{job_id}",
    summary="Check an outreach job",
    response_description="The job as it is now, even if it failed.",
    responses=error_answers("external_api_job_not_found"),
    openapi_extra={"parameters": [_parameter("job_id", "path", "The `id` of the response that accepted the job.")]},
)
async def read_job(request: Request, caller: Authorized) -> JobAnswer:
    """
    Return a job as it is now.

    `succeeded`, `failed` and `cancelled` are the end. Unless it was scripted otherwise, a job has succeeded at once.
    """
    try:
        item = caller.world.job(request.path_params["job_id"], caller.owner)
    except UnknownIdError:
        raise ApiError("external_api_job_not_found") from None
    return JobAnswer(request_id=request.state.request_id, item=item)
