"""Send a message by the rule of sending: the requests, the record of them and the log lines of one try."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.exceptions import RevorError, RevorNotFoundError, RevorResponseError
from airflow_provider_revor.rules.keys import attempt_key, digest
from airflow_provider_revor.rules.sending import Attempt, Found, Get, Try, find_or_send

if TYPE_CHECKING:
    from airflow_provider_revor.api.outreach import OutreachJob
    from airflow_provider_revor.operators.memory import AttemptMemory
    from airflow_provider_revor.version_compat import Log


class OutreachSender:
    """
    Send one message, or find its job, in one try of a task.

    :param post: Sends the message under an idempotency key, and returns the job as the response tells of it.
    :param get: Returns how a job stands.
    :param key: The idempotency key of the first attempt.
    :param own_key: Whether that is a key of the Dag author's, which other runs may have used.
    :param message: All that is sent, as plain JSON; only a digest of it is kept.
    :param conn_id: The Airflow connection, for messages.
    :param memory: What earlier tries recorded.
    :param log: The task's log.
    """

    def __init__(
        self,
        *,
        post: Callable[[str], OutreachJob],
        get: Callable[[str], OutreachJob],
        key: str,
        own_key: bool,
        message: Any,
        conn_id: str,
        memory: AttemptMemory,
        log: Log,
    ) -> None:
        self._post = post
        self._get = get
        self._key = key
        self._own_key = own_key
        self._message = digest(message)
        self._conn_id = conn_id
        self._memory = memory
        self._log = log

    def send_once(self, this_try: Try) -> OutreachJob:
        """
        Return the task's job; see :mod:`airflow_provider_revor.rules.sending`.

        :param this_try: The try.
        :return: The job as a GET has just shown it. One that failed fails the task.
        :raises RevorNotFoundError: if Revor does not know the job that an earlier try recorded.
        :raises RevorError: if Revor cannot be asked or refuses.
        """
        recorded = self._memory.recall()
        first_try = this_try.is_first_after(recorded)
        current = Attempt(1, None, digest(self._key), self._message, this_try.max_tries)
        if recorded and recorded.key != current.key and first_try and self._own_key:
            # A person cleared the task and gave it another idempotency key: another message is meant.
            self._log.warning("The idempotency key is another than that of job %s: a new message.", recorded.job_id)
            recorded = None
        began, try_began = time.monotonic(), None
        job: OutreachJob
        nothing_before = this_try.nothing_before and not self._own_key
        steps = find_or_send(recorded, first_try=first_try, nothing_before=nothing_before, try_number=this_try.number)
        step = next(steps)
        while True:
            if isinstance(step, Get):
                job = self._get_recorded(step.job_id)
            else:
                job = self._send(replace(current, number=step.attempt))
            elapsed = time.monotonic() - began
            if try_began is None and job.answered_at is not None:
                # By Revor's clock. What has passed since is counted by a clock that nobody sets.
                try_began = job.answered_at - elapsed
            try:
                step = steps.send(Found(job, try_began, elapsed))
            except StopIteration as end:
                number, job = end.value
                break
            self._log.info("%s: sending again under the next idempotency key.", job.label)
        if recorded and recorded.job_id == job.id:
            if recorded.message != self._message and not job.failed:
                self._log.warning("Nothing is sent: %s. What it sent differs from what this task now holds.", job.label)
            self._memory.keep(replace(recorded, max_tries=this_try.max_tries))
        else:
            self._memory.keep(replace(current, number=number, job_id=job.id))
        return job

    def _send(self, attempt: Attempt) -> OutreachJob:
        # If this try ends before it learns of the job, the next one repeats this key.
        self._memory.keep(attempt)
        job_id = self._post(attempt_key(self._key, attempt.number)).id
        self._memory.keep(replace(attempt, job_id=job_id))
        try:
            # A response under a key that was used before tells how the job stood when it was created.
            return self._get(job_id)
        except RevorError as e:
            # A copy of Revor's that lags behind may not know the job yet.
            kind = RevorResponseError if isinstance(e, RevorNotFoundError) else type(e)
            raise kind(
                f"Revor accepted outreach job {job_id}, but how it stands could not be learned: another try of this "
                f"task, or a clear, finds the job and sends nothing twice. {e}",
                reason=f"Revor accepted outreach job {job_id}, but how it stands could not be learned. {e.reason}",
                advice=e.advice,
                code=e.code,
                status_code=e.status_code,
                request_id=e.request_id,
                retry_after=e.retry_after,
            ) from None

    def _get_recorded(self, job_id: str) -> OutreachJob:
        try:
            return self._get(job_id)
        except RevorNotFoundError as e:
            raise RevorNotFoundError.of(
                f"Revor does not know outreach job {job_id} on connection {self._conn_id!r}, which an earlier try of "
                "this task created. Nothing is sent.",
                "Check that the connection leads to the same Revor, with an API key of the same user. To send "
                "nevertheless, give this person's task another `idempotency_key` and clear it.",
                f"status {e.status_code}, code {e.code}, request_id {e.request_id}",
                code=e.code,
                status_code=e.status_code,
                request_id=e.request_id,
            ) from None
