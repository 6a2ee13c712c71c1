"""The methods of :class:`Sandbox` that make requests fail."""

from __future__ import annotations

import json
from collections.abc import Mapping

from airflow_provider_revor.sandbox.models import (
    AnswerFault,
    DropFault,
    ErrorFault,
    LoseAnswerFault,
    Method,
    SlowFault,
    TruncateFault,
)
from airflow_provider_revor.sandbox.state import SandboxState


class FaultMethods:
    """
    The part of a sandbox that is about faults.

    Each waits in one queue and happens to the next ``times`` API requests that are of its ``method``.
    """

    _state: SandboxState

    def fail(
        self,
        status: int,
        *,
        code: str | None = None,
        message: str | None = None,
        retry_after: float | str | None = None,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        method: Method | None = None,
    ) -> None:
        """
        Answer with an error in Revor's envelope.

        :param status: the HTTP status, 400 to 599.
        :param code: Revor's code; left out: the one that goes with the status.
        :param message: a sentence for people; left out: the code's own.
        :param retry_after: the header ``Retry-After``: seconds, or any text such as an HTTP date.
        :param headers: more headers.
        :param times: how many requests, 1 by default.
        :param method: only requests of this method; None, the default: of any.
        :raises ValueError: if the answer can't be sent.
        """
        more = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._state.add_fault(
            ErrorFault(
                status=status,
                code=code,
                message=message,
                headers={**(headers or {}), **more},
                times=times,
                method=method,
            )
        )

    def answer(
        self,
        status: int = 200,
        body: object = "",
        headers: Mapping[str, str] | None = None,
        *,
        times: int = 1,
        method: Method | None = None,
    ) -> None:
        """
        Answer with anything.

        :param status: the HTTP status, 200 to 599.
        :param body: text, sent as it is; anything else is sent as JSON.
        :param headers: the headers; without a ``Content-Type``, that is text/plain or application/json.
        :param times: how many requests, 1 by default.
        :param method: only requests of this method; None, the default: of any.
        :raises ValueError: if the answer can't be sent.
        """
        headers = dict(headers or {})
        if not isinstance(body, str):
            body = json.dumps(body)
            if "content-type" not in map(str.lower, headers):
                headers["Content-Type"] = "application/json"
        self._state.add_fault(AnswerFault(status=status, body=body, headers=headers, times=times, method=method))

    def drop(self, *, times: int = 1, method: Method | None = None) -> None:
        """
        Close the connection before any byte of an answer.

        :param times: how many requests, 1 by default.
        :param method: only requests of this method; None, the default: of any.
        """
        self._state.add_fault(DropFault(times=times, method=method))

    def lose_answer(self, *, times: int = 1, method: Method | None = None) -> None:
        """
        Act upon the request, then close the connection before any byte of the answer.

        :param times: how many requests, 1 by default.
        :param method: only requests of this method; None, the default: of any.
        """
        self._state.add_fault(LoseAnswerFault(times=times, method=method))

    def truncate(self, *, times: int = 1, method: Method | None = None) -> None:
        """
        Close the connection half-way through the normal answer.

        :param times: how many requests, 1 by default.
        :param method: only requests of this method; None, the default: of any.
        """
        self._state.add_fault(TruncateFault(times=times, method=method))

    def slow(self, seconds: float, *, after_acting: bool = False, times: int = 1, method: Method | None = None) -> None:
        """
        Wait before the normal answer is made.

        Such a request is counted as it comes in, or when it was acted upon; others as they are answered.

        :param seconds: how long, at most 3600.
        :param after_acting: True: act upon the request first, and answer late; a client that gives up has had its way.
        :param times: how many requests, 1 by default.
        :param method: only requests of this method; None, the default: of any.
        """
        self._state.add_fault(SlowFault(seconds=seconds, after_acting=after_acting, times=times, method=method))

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        self._state.clear_faults()
