"""The way of every API request through the sandbox: it may meet a scripted fault, and it is counted."""

from __future__ import annotations

import secrets

from fastapi import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_revor.sandbox.contract.errors import error_response, is_api_path
from airflow_provider_revor.sandbox.web.connection import Connection
from airflow_provider_revor.sandbox.world import faults
from airflow_provider_revor.sandbox.world.requests import RequestRecord
from airflow_provider_revor.sandbox.world.world import World

#: The request log keeps no more of a path, a query or a key.
_LONGEST = 2_000


class ApiRequestMiddleware:
    """
    Counts API requests and makes the scripted faults happen to them.

    :param app: what responds when no fault does.
    :param world: where faults come from and requests are counted.
    """

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, as ASGI defines it."""
        if scope["type"] != "http" or not is_api_path(scope["path"]):
            await self._app(scope, receive, send)
            return

        fault = self._world.faults.take(lambda fault: fault.method in (None, scope["method"]))
        record = RequestRecord(
            method=scope["method"],
            path=self._printable(scope["raw_path"]),
            query=self._printable(scope["query_string"]),
            request_id=f"req_{secrets.token_hex(8)}",
            received_at=self._world.clock().now,
            idempotency_key=self._header(scope, b"idempotency-key"),
            fault=fault.kind if fault else None,
        )
        scope["state"]["request_id"] = record.request_id
        connection: Connection = scope["state"]["connection"]

        async def answer(message: Message) -> None:
            # Counted before the first byte leaves: a client that has a response finds it counted.
            if message["type"] == "http.response.start":
                record.status = message["status"]
                if not isinstance(fault, faults.SlowFault):
                    self._world.requests.count(record)
            await send(message)

        async def half_an_answer(message: Message) -> None:
            if message["type"] == "http.response.body":
                body = message.get("body", b"")
                await answer({**message, "body": body[: len(body) // 2], "more_body": True})
                await connection.close()
            else:
                await answer(message)

        late: list[Message] = []

        async def keep(message: Message) -> None:
            late.append(message)

        match fault:
            case None:
                await self._app(scope, receive, answer)
            case faults.ErrorFault():
                response = error_response(record.request_id, fault.status, fault.code, fault.message, fault.headers)
                await response(scope, receive, answer)
            case faults.AnswerFault():
                plain = Response(fault.body, fault.status, fault.headers, media_type="text/plain")
                await plain(scope, receive, answer)
            case faults.TruncateFault():
                await self._app(scope, receive, half_an_answer)
            case faults.SlowFault(after_acting=True):
                # Counted when it was acted upon, before the response: a test can rely on the count.
                await self._app(scope, receive, keep)
                self._world.requests.count(record)
                if await connection.lasts(fault.seconds):
                    for message in late:
                        await answer(message)
            case faults.LoseAnswerFault():
                await self._app(scope, receive, keep)
                self._world.requests.count(record)
                await connection.drop()
            case faults.SlowFault():
                # Counted as it comes in: a client that gives up must not make the count depend on time.
                self._world.requests.count(record)
                if await connection.lasts(fault.seconds):
                    await self._app(scope, receive, answer)
            case faults.DropFault():
                self._world.requests.count(record)
                await connection.drop()

    def _header(self, scope: Scope, name: bytes) -> str | None:
        return next((self._printable(value) for key, value in scope["headers"] if key == name), None)

    def _printable(self, raw: bytes) -> str:
        # Still percent-encoded, so that nothing in it moves a terminal's cursor; and a key that strayed into
        # a URL stays unseen.
        return self._world.keys.hide(raw.decode("ascii", "replace"))[:_LONGEST]
