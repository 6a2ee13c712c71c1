"""The methods of :class:`Sandbox` that tell how outreach jobs go, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_revor.sandbox.outreach_models import JobFinish, JobScript, OutboxEntry
from airflow_provider_revor.sandbox.state import SandboxState


class OutreachMethods:
    """The part of a sandbox that is about outreach."""

    _state: SandboxState

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
        Tell how the next jobs go; without it, each has succeeded at once.

        A job goes by the oldest script that fits it and is not used up; if there is none, by the newest that holds
        for all from now on. Requests that are refused or replayed make no job, and use none up.

        :param status: what becomes of them: ``succeeded``, ``failed`` or ``cancelled``; ``skipped`` for a post-like
            that succeeds without having found a post, which dispatches pass by; anything else is a status that does
            not end by itself, such as ``queued``.
        :param after: how many seconds they run until then; None: until :meth:`finish_job`.
        :param error: of failed ones: ``code``, ``message`` and ``retryable``; what is left out is the sandbox's.
        :param scheduled_in: in how many seconds they start; they are ``scheduled`` before.
        :param times: how many jobs; None: all from now on.
        :param recipient: only jobs for this ``address``, ``profile_url`` or ``phone``; the others pass it by.
        :raises ValueError: if jobs can't go so.
        """
        self._state.outreach.script(
            JobScript.model_validate(
                {
                    "status": status,
                    "after": after,
                    "error": error,
                    "scheduled_in": scheduled_in,
                    "times": times,
                    "recipient": recipient,
                }
            )
        )

    def finish_job(
        self, job_id: str, status: str = "succeeded", error: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        End a job now, whatever it was told.

        :param job_id: which one.
        :param status: ``succeeded``, ``failed``, ``cancelled`` or, for a post-like, ``skipped``.
        :param error: of a failed one, as for :meth:`script_jobs`.
        :return: the job as it is now.
        :raises KeyError: if there is no such job.
        :raises ValueError: if it has ended already, or can't end so.
        """
        ending = JobFinish.model_validate({"status": status, "error": error})
        return self._state.outreach.finish(job_id, ending).model_dump(mode="json")

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """All outreach jobs as the API would serve them now, oldest first."""
        return [job.model_dump(mode="json") for job in self._state.outreach.jobs()]

    @property
    def outbox(self) -> list[OutboxEntry]:
        """
        What was sent or still will be, oldest first.

        There is one entry per accepted dispatch or post-like, unless its job has failed, was cancelled or has found no
        post. It has a ``job_id``, ``action``, ``account_id``, ``channel``, ``recipient``, ``content``, ``metadata``,
        ``idempotency_key``, ``status`` and more.
        """
        return self._state.outreach.outbox()

    def reset_jobs(self) -> None:
        """Forget the jobs and what they sent, the idempotency keys and what is scripted."""
        self._state.outreach.reset()
