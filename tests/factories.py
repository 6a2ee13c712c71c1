"""Answers of the API, as tests want them."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_revor.api.accounts import ConnectAccount
from airflow_provider_revor.api.wire import Response


def item(**changes: Any) -> dict[str, Any]:
    """One account as the API documents it; it can send."""
    return {
        "account_id": "acc_1",
        "channel": "email",
        "name": "Ada",
        "account_identifier": "ada@example.com",
        "status": "ok",
        "lifecycle_status": "active",
        "can_send": True,
        "can_receive": True,
        **changes,
    }


def account(**changes: Any) -> ConnectAccount:
    return ConnectAccount(**item(**changes))


def listing(*items: Any) -> dict[str, Any]:
    return {"ok": True, "request_id": "req_list", "items": list(items)}


def job(**changes: Any) -> dict[str, Any]:
    """One outreach job as the API documents it; it has sent its message."""
    return {
        "id": "job_1",
        "status": "succeeded",
        "action": "outreach.dispatch",
        "channel": "email",
        "scheduled_at": "2026-01-01T09:00:00Z",
        "started_at": "2026-01-01T09:00:01Z",
        "finished_at": "2026-01-01T09:00:02Z",
        "attempt_count": 1,
        "next_attempt_at": None,
        "result": {
            "account_id": "acc_1",
            "channel": "email",
            "action": "outreach",
            "resolved_action": "message",
            "message_id": "msg_1",
            "status": "sent",
        },
        "error": None,
        **changes,
    }


def resource(item: Any) -> dict[str, Any]:
    return {"ok": True, "request_id": "req_item", "item": item}


def refusal(code: str = "some_code", message: str = "Some message.") -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message, "request_id": "req_refused"}}


def response(status: int = 200, body: Any = None, **headers: str) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {k.replace("_", "-"): v for k, v in headers.items()}, content, received_at=1_000_000.0)
