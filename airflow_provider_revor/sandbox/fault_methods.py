"""The methods of :class:`Sandbox` that make requests fail."""

from __future__ import annotations

import json
from collections.abc import Mapping

from typing_extensions import Unpack

from airflow_provider_revor.sandbox.world.faults import (
    AnswerFault,
    DropFault,
    ErrorFault,
    LoseAnswerFault,
    SlowFault,
    TruncateFault,
    Which,
)
from airflow_provider_revor.sandbox.world.world import World


class FaultMethods:
    """
    The part of a sandbox that is about faults.

    Each fault waits in one queue. All methods take ``times``, how many API requests it happens to (1 by default),
    and ``method``: only requests of this method (None, the default: of any).
    """

    _world: World

    def fail(
        self,
        status: int | None = None,
        *,
        code: str | None = None,
        message: str | None = None,
        retry_after: float | str | None = None,
        headers: Mapping[str, str] | None = None,
        **which: Unpack[Which],
    ) -> None:
        """
        Respond with an error in Revor's envelope.

        :param status: the HTTP status, 400 to 599; left out: the one that goes with the code, as far as it is known.
        :param code: Revor's code, such as ``insufficient_credits``; left out: the one that goes with the status.
        :param message: a sentence for people; left out: the code's own.
        :param retry_after: the header ``Retry-After``: seconds, or any text such as an HTTP date.
        :param headers: more headers.
        :param which: ``times`` and ``method``, as above.
        :raises ValueError: if the response can't be sent.
        """
        more = {} if retry_after is None else {"Retry-After": str(retry_after)}
        error = {"status": status, "code": code, "message": message, "headers": {**(headers or {}), **more}}
        self._world.faults.add(ErrorFault.model_validate({**error, **which}))

    def answer(
        self, status: int = 200, body: object = "", headers: Mapping[str, str] | None = None, **which: Unpack[Which]
    ) -> None:
        """
        Respond with anything.

        :param status: the HTTP status, 200 to 599.
        :param body: text, sent as it is; anything else is sent as JSON.
        :param headers: the headers; without a ``Content-Type``, that is text/plain or application/json.
        :param which: ``times`` and ``method``, as above.
        :raises ValueError: if the response can't be sent.
        """
        headers = dict(headers or {})
        if not isinstance(body, str):
            body = json.dumps(body)
            if "content-type" not in map(str.lower, headers):
                headers["Content-Type"] = "application/json"
        self._world.faults.add(AnswerFault(status=status, body=body, headers=headers, **which))

    def drop(self, **which: Unpack[Which]) -> None:
        """Close the connection before any byte of a response."""
        self._world.faults.add(DropFault(**which))

    def lose_answer(self, **which: Unpack[Which]) -> None:
        """Act upon the request, then close the connection before any byte of the response."""
        self._world.faults.add(LoseAnswerFault(**which))

    def truncate(self, **which: Unpack[Which]) -> None:
        """Close the connection half-way through the normal response."""
        self._world.faults.add(TruncateFault(**which))

    def slow(self, seconds: float, *, after_acting: bool = False, **which: Unpack[Which]) -> None:
        """
        Wait before the normal response is made.

        Such a request is counted when it comes in, or when it was acted upon; others when their response leaves.

        :param seconds: how long, at most 3600.
        :param after_acting: True: act upon the request first, and respond late, whether or not the client gives up.
        :param which: ``times`` and ``method``, as above.
        """
        self._world.faults.add(SlowFault(seconds=seconds, after_acting=after_acting, **which))

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        self._world.faults.clear()
