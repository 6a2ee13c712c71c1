"""Revor's API, as far as the sandbox has it: outreach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import TypeAdapter

from airflow_provider_revor.sandbox.dependencies import State, authorize
from airflow_provider_revor.sandbox.errors import ANY_REQUEST, ApiError, error_answers
from airflow_provider_revor.sandbox.outreach import UnknownJobError
from airflow_provider_revor.sandbox.outreach_bodies import (
    EmailDispatch,
    LinkedinDispatch,
    PostLike,
    Task,
    WhatsappDispatch,
    read_dispatch,
    read_post_like,
)
from airflow_provider_revor.sandbox.outreach_models import JobAnswer, JobReceiptAnswer

_DISPATCHES: dict[str, Any] = {
    "email": {
        "value": {
            "account_id": "acc_email_anna",
            "channel": "email",
            "action": "outreach",
            "recipient": {"address": "dana@example.com", "name": "Dana Example"},
            "content": {"subject": "Hello", "text": "Hello Dana", "html": "<p>Hello Dana</p>"},
            "metadata": {"campaign": "spring"},
            "min_channel_task_interval_seconds": 240,
        }
    },
    "linkedin": {
        "value": {
            "account_id": "acc_linkedin_anna",
            "channel": "linkedin",
            "action": "outreach",
            "recipient": {"profile_url": "https://linkedin.example.com/in/dana-example"},
            "content": {"text": "Hello Dana"},
        }
    },
    "whatsapp": {
        "value": {
            "account_id": "acc_whatsapp_anna",
            "channel": "whatsapp",
            "action": "outreach",
            "recipient": {"phone": "+1 202 555 0123"},
            "content": {
                "text": "Hello Dana",
                "attachments": [{"filename": "hello.txt", "contentBase64": "SGVsbG8="}],
            },
        }
    },
}
_POST_LIKES: dict[str, Any] = {
    "by topic": {
        "value": {
            "account_id": "acc_linkedin_anna",
            "profile_url": "https://linkedin.example.com/in/dana-example",
            "topic": "data engineering",
        }
    },
    "with the only account": {
        "value": {
            "profile_url": "https://linkedin.example.com/in/dana-example",
            "intent": "congratulate on a release",
            "post_limit": 5,
            "locale": "en",
        }
    },
}


# Written by hand: FastAPI would parse what is declared before the key is checked, or say that it may answer 422.


def _parameter(name: str, place: str, description: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}


def _write(shape: Any, examples: dict[str, Any]) -> dict[str, Any]:
    schema = TypeAdapter(shape).json_schema()
    content = {"schema": _in_one_piece(schema, schema.get("$defs", {})), "examples": examples}
    return {
        "parameters": [
            _parameter(
                "Idempotency-Key", "header", "The same key and body again make no second task; another body is refused."
            )
        ],
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


_WRITE_ERRORS: dict[int | str, dict[str, Any]] = {
    **error_answers(
        "invalid_request",
        "account_not_found",
        "idempotency_conflict",
        "account_channel_mismatch",
        "account_reconnect_required",
        "account_unavailable",
    ),
    503: {
        "description": "The worker queue is unavailable: try later with the same key. Here it is so only as a fault."
    },
}

router = APIRouter(
    prefix="/api/v1/outreach",
    tags=["Revor API"],
    dependencies=[Depends(authorize)],
    responses=error_answers(*ANY_REQUEST),
)


@router.post(
    "/dispatches",
    status_code=202,
    summary="Create an outreach dispatch",
    response_description="The task was made, or had been made before.",
    responses=_WRITE_ERRORS,
    openapi_extra=_write(EmailDispatch | LinkedinDispatch | WhatsappDispatch, _DISPATCHES),
)
async def create_dispatch(request: Request, state: State) -> JobReceiptAnswer:
    """
    Send one message, in time: the answer tells of a job.

    A replay gets the original item. The sandbox's own choice: its `request_id` is new, the order of a body's fields
    does not matter, and the codes `invalid_request` and `account_…`, but for `account_not_found`.
    """
    return _create(request, state, read_dispatch(await request.body()))


@router.post(
    "/linkedin/post-likes",
    status_code=202,
    summary="Like a LinkedIn post",
    response_description="The task was made, or had been made before.",
    responses={
        **_WRITE_ERRORS,
        **error_answers(
            "idempotency_conflict",
            "account_channel_mismatch",
            "account_reconnect_required",
            "account_unavailable",
            "account_id_required",
        ),
    },
    openapi_extra=_write(PostLike, _POST_LIKES),
)
async def create_post_like(request: Request, state: State) -> JobReceiptAnswer:
    """
    Like at most one relevant recent post of a profile, in time: the answer tells of a job.

    A job that finds no such post succeeds with the result's status `skipped`.
    """
    return _create(request, state, read_post_like(await request.body()))


def _create(request: Request, state: State, task: Task) -> JobReceiptAnswer:
    item = state.outreach.create(task, request.url.path, request.headers.get("idempotency-key"))
    return JobReceiptAnswer(request_id=request.state.request_id, item=item)


@router.get(
    "/jobs/{job_id}",
    summary="Check an outreach job",
    response_description="The job as it is now, be it that it failed.",
    responses=error_answers("external_api_job_not_found"),
    openapi_extra={"parameters": [_parameter("job_id", "path", "The `id` that the job was taken with.")]},
)
async def read_job(request: Request, state: State) -> JobAnswer:
    """
    Tell how a job goes.

    `succeeded`, `failed` and `cancelled` are the end. Unless it was scripted otherwise, a job has succeeded at once.
    """
    try:
        item = state.outreach.job(request.path_params["job_id"])
    except UnknownJobError:
        raise ApiError("external_api_job_not_found") from None
    return JobAnswer(request_id=request.state.request_id, item=item)
