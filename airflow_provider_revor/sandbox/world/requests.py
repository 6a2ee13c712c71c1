"""The request log: how many API requests there were, and what the latest were."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime

from pydantic import BaseModel, Field


class RequestRecord(BaseModel):
    """One API request that the sandbox received; it never holds the key."""

    method: str
    path: str
    query: str = Field(description="The query string as it was sent.")
    request_id: str
    received_at: datetime
    idempotency_key: str | None = Field(default=None, description="The header `Idempotency-Key`.")
    status: int | None = Field(
        default=None, description="The response's; null: there was none (dropped, lost), or not yet (slow)."
    )
    fault: str | None = Field(default=None, description="The kind of the scripted fault that it met.")


class RequestLog(BaseModel):
    """The API requests so far."""

    total: int = Field(description="All since the start or the last reset.")
    items: list[RequestRecord] = Field(description="The latest, oldest first; at most 1000.")


class Requests:
    """
    The API requests so far. Every method is safe in any thread.

    :param on_request: called with every API request, in the server's thread, before its response leaves.
    """

    def __init__(self, on_request: Callable[[RequestRecord], None] | None) -> None:
        self._on_request = on_request
        self._changed = threading.Condition()
        self._total = 0
        self._latest: deque[RequestRecord] = deque(maxlen=1000)

    def count(self, record: RequestRecord) -> None:
        """Count an API request."""
        with self._changed:
            self._total += 1
            self._latest.append(record)
            self._changed.notify_all()
        if self._on_request:
            self._on_request(record)

    def read(self) -> RequestLog:
        """Return the exact number of all, and copies of the latest."""
        with self._changed:
            return RequestLog(total=self._total, items=[record.model_copy() for record in self._latest])

    def reset(self) -> None:
        """Start counting from 0."""
        with self._changed:
            self._total = 0
            self._latest.clear()

    def wait(self, count: int, timeout: float) -> None:
        """Wait until so many were counted; TimeoutError if there are fewer by then."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._total >= count, timeout):
                raise TimeoutError(f"the sandbox had {self._total} of {count} requests after {timeout} s")
