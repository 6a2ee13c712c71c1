"""
What the API's pages say about requests to Revor.

It is written by hand: FastAPI would parse what is declared before the key is checked, or say that the response may be
a 422.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from airflow_provider_revor.sandbox.contract.errors import error_answers
from airflow_provider_revor.sandbox.contract.outreach import EmailDispatch, LinkedinDispatch, PostLike, WhatsappDispatch


def parameter(name: str, place: str, description: str, choices: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Describe a parameter."""
    schema = {"type": "string", **({"enum": list(choices)} if choices else {})}
    return {"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}


def _write(shape: Any, examples: dict[str, dict[str, Any]], *errors: str) -> dict[str, Any]:
    schema = TypeAdapter(shape).json_schema()
    content = {
        "schema": _in_one_piece(schema, schema.get("$defs", {})),
        "examples": {name: {"value": value} for name, value in examples.items()},
    }
    key = "With the same API key, path and body again it creates no second job; another body is rejected."
    return {
        "status_code": 202,
        "response_description": "The job was created, now or before.",
        "responses": {**error_answers(*_WRITE_ERRORS, *errors), **_NO_QUEUE},
        "openapi_extra": {
            "parameters": [parameter("Idempotency-Key", "header", key)],
            "requestBody": {"required": True, "content": {"application/json": content}},
        },
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


def _dispatch(channel: str, recipient: dict[str, str], content: dict[str, Any], **more: Any) -> dict[str, Any]:
    account = {"account_id": f"acc_{channel}_anna", "channel": channel, "action": "outreach"}
    return {**account, "recipient": recipient, "content": content, **more}


_WRITE_ERRORS = (
    "invalid_request",
    "account_not_found",
    "idempotency_conflict",
    "account_channel_mismatch",
    "account_reconnect_required",
    "account_unavailable",
    "sandbox_full",
)
_NO_QUEUE: dict[int | str, dict[str, Any]] = {
    503: {"description": "The worker queue is unavailable: try later with the same key. Here it is so only as a fault."}
}
_DANA = "https://linkedin.example.com/in/dana-example"
_HELLO = {"filename": "hello.txt", "contentBase64": "SGVsbG8="}

#: How a dispatch is declared to FastAPI, apart from its words.
DISPATCH = _write(
    EmailDispatch | LinkedinDispatch | WhatsappDispatch,
    {
        "email": _dispatch(
            "email",
            {"address": "dana@example.com", "name": "Dana Example"},
            {"subject": "Hello", "text": "Hello Dana", "html": "<p>Hello Dana</p>"},
            metadata={"campaign": "spring"},
            min_channel_task_interval_seconds=240,
        ),
        "linkedin": _dispatch("linkedin", {"profile_url": _DANA}, {"text": "Hello Dana"}),
        "whatsapp": _dispatch(
            "whatsapp", {"phone": "+1 202 555 0123"}, {"text": "Hello Dana", "attachments": [_HELLO]}
        ),
    },
)

#: The same for a post-like.
POST_LIKE = _write(
    PostLike,
    {
        "by topic": {"account_id": "acc_linkedin_anna", "profile_url": _DANA, "topic": "data engineering"},
        "with the only account": {
            "profile_url": _DANA,
            "intent": "congratulate on a release",
            "post_limit": 5,
            "locale": "en",
        },
    },
    "account_id_required",
)
