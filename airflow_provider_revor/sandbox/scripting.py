"""The methods of :class:`Sandbox` that script what happens: to requests, and to jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from typing_extensions import Unpack

from airflow_provider_revor.sandbox.world import faults
from airflow_provider_revor.sandbox.world.faults import Which
from airflow_provider_revor.sandbox.world.jobs import JobFinish, JobScript, OutboxEntry
from airflow_provider_revor.sandbox.world.world import World


class ScriptingMethods:
    """
    The part of a sandbox that is about faults and jobs.

    Each fault waits in one queue. All its methods take ``times``, how many API requests it happens to (1 by default),
    and ``method``: only requests of this method (None, the default: of any).
    """

    _world: World

    # Faults

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
        self._world.faults.add(faults.ErrorFault.model_validate({**error, **which}))

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
        self._world.faults.add(faults.AnswerFault(status=status, body=body, headers=headers, **which))

    def drop(self, **which: Unpack[Which]) -> None:
        """Close the connection before any byte of a response."""
        self._world.faults.add(faults.DropFault(**which))

    def lose_answer(self, **which: Unpack[Which]) -> None:
        """Act upon the request, then close the connection before any byte of the response."""
        self._world.faults.add(faults.LoseAnswerFault(**which))

    def truncate(self, **which: Unpack[Which]) -> None:
        """Close the connection half-way through the normal response."""
        self._world.faults.add(faults.TruncateFault(**which))

    def slow(self, seconds: float, *, after_acting: bool = False, **which: Unpack[Which]) -> None:
        """
        Wait before the normal response is made.

        Such a request is counted when it comes in, or when it was acted upon; others when their response leaves.

        :param seconds: how long, at most 3600.
        :param after_acting: True: act upon the request first, and respond late, whether or not the client gives up.
        :param which: ``times`` and ``method``, as above.
        """
        self._world.faults.add(faults.SlowFault(seconds=seconds, after_acting=after_acting, **which))

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        self._world.faults.clear()

    # Jobs

    def script_jobs(
        self,
        status: str = "succeeded",
        *,
        after: float | None = 0.0,
        error: Mapping[str, Any] | None = None,
        scheduled_in: float = 0.0,
        times: int | None = 1,
        recipient: str | None = None,
    ) -> None:
        """
        Set how the next jobs go; without it, each has succeeded at once.

        A job goes by the oldest script that fits it and is not used up; if there is none, by the newest for all
        from now on. Requests that are rejected or replayed create no job, and use no script up.

        :param status: how they end: ``succeeded``, ``failed`` or ``cancelled``; ``skipped`` for a post-like
            that succeeds without having found a post, which dispatches pass by; or a status that does not end by
            itself: ``queued``, ``scheduled``, ``running`` or ``settling``.
        :param after: how many seconds they run until then; None: until :meth:`finish_job`.
        :param error: of failed ones: ``code``, ``message`` and ``retryable``; what is left out is the sandbox's.
        :param scheduled_in: in how many seconds they start; they are ``scheduled`` before.
        :param times: how many jobs; None: all from now on.
        :param recipient: only jobs for this ``address``, ``profile_url`` or ``phone``; the others pass it by.
        :raises ValueError: if jobs can't go so.
        """
        script = {"status": status, "after": after, "error": error, "scheduled_in": scheduled_in}
        self._world.scripts.add(JobScript.model_validate({**script, "times": times, "recipient": recipient}))

    def finish_job(
        self, job_id: str, status: str = "succeeded", error: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        End a job now, however it was scripted.

        :param job_id: which one.
        :param status: ``succeeded``, ``failed``, ``cancelled`` or, for a post-like, ``skipped``.
        :param error: of a failed one, as for :meth:`script_jobs`.
        :return: the job as it is now.
        :raises KeyError: if there is no such job.
        :raises ValueError: if it has ended already, or can't end so.
        """
        ending = JobFinish.model_validate({"status": status, "error": error})
        return self._world.finish_job(job_id, ending).model_dump(mode="json")

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """All outreach jobs as the API would serve them now, oldest first."""
        return [job.model_dump(mode="json") for job in self._world.jobs()]

    @property
    def outbox(self) -> list[OutboxEntry]:
        """
        What was sent or still will be, oldest first.

        There is one entry per accepted dispatch or post-like, unless its job has failed, was cancelled or has found no
        post. It has a ``job_id``, ``action``, ``account_id``, ``channel``, ``recipient``, ``content``, ``metadata``,
        ``idempotency_key``, ``status`` and more.
        """
        return self._world.outbox()

    def forget_keys(self) -> None:
        """
        Forget the idempotency keys, as Revor may at any time, and keep the jobs.

        The same request again creates a second job.
        """
        self._world.forget_keys()

    def reset_jobs(self) -> None:
        """Forget the jobs and what they sent, the idempotency keys and the scripts."""
        self._world.reset_jobs()
