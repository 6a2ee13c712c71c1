"""Send a message by the rule of sending: the requests, the record of them and the log lines of one try."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_revor.exceptions import RevorError, RevorNotFoundError, RevorResponseError
from airflow_provider_revor.hooks.outreach import CANCEL_REJECTED
from airflow_provider_revor.rules.keys import attempt_key, digest
from airflow_provider_revor.rules.sending import DOUBT, Attempt, Found, Get, Try, find_or_send
from airflow_provider_revor.version_compat import COUNTS_CLEARS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.api.jobs import OutreachJob
    from airflow_provider_revor.version_compat import Log

_Try = TypeVar("_Try", bound=Try)


class Memory(Protocol):
    """What earlier tries recorded of one person."""

    def recall(self) -> Attempt | None:
        """Return the latest attempt that was recorded; None if there is none."""

    def keep(self, attempt: Attempt) -> None:
        """Record the latest attempt."""


@dataclass(frozen=True, slots=True)
class Sent:
    """
    The result of one try for one person.

    :param job: The job; one that failed fails the task.
    :param outdated: Whether nothing was sent, and the job holds another message than the task now does.
    :param version: The API version that the job was made by; None if that is not known.
    :param ended_before: Whether the job was found by its key, and is known to have ended before this try began.
    :param sent_before: Whether the message is known to have been sent before this try.
    """

    job: OutreachJob
    outdated: bool
    version: str | None = None
    ended_before: bool = False
    sent_before: bool = False


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
    :param confirm: Whether to ask for a job after it was sent. A response under a key that was used before tells how
        the job stood when it was created, so only where none can have been used, and the job is asked for later
        anyway, this may be False. Default: True.
    :param version: The API version of new attempts; None if that is not known. Default: None.
    :param use_version: Sets the API version of the next requests: that of the attempt that they are about. None to
        leave it. Default: None.
    :param cancel: Cancels a job that a person meant to end, by clearing the task while it waited, and returns how the
        job stands; None to let the job go on. Default: None.
    :param in_campaign: Whether other tasks and runs use the same key, and the first try of each is like an automatic
        retry. Default: False.
    :param found_before: The ids of jobs that this try has found, for all people; it grows. Default: a new set.
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
        memory: Memory,
        log: Log,
        confirm: bool = True,
        version: str | None = None,
        use_version: Callable[[str | None], None] | None = None,
        cancel: Callable[[str], OutreachJob] | None = None,
        in_campaign: bool = False,
        found_before: set[str] | None = None,
    ) -> None:
        self._post = post
        self._get = get
        self._key = key
        self._shared_key = own_key or in_campaign
        self._in_campaign = in_campaign
        self._message = digest(message)
        self._conn_id = conn_id
        self._memory = memory
        self._log = log
        self._confirm = confirm
        self._version = version
        self._use_version = use_version or (lambda version: None)
        self._cancel = cancel
        self._found: set[str] = set() if found_before is None else found_before

    def send_once(self, this_try: Try, began: float | None = None) -> Sent:
        """
        Return the task's job; see :mod:`airflow_provider_revor.rules.sending`.

        :param this_try: The try.
        :param began: When it began, by this machine's monotonic clock. Default: now.
        :return: The job as a GET has just shown it.
        :raises RevorNotFoundError: if Revor does not know the job that an earlier try recorded.
        :raises RevorError: if Revor cannot be asked or refuses.
        """
        recorded = self._memory.recall()
        first_try = this_try.is_first_after(recorded) and (this_try.number > 1 or not self._in_campaign)
        current = self.first_attempt(this_try)
        if recorded and recorded.key != current.key and first_try and self._shared_key:
            # A person cleared the task and gave it another idempotency key: another message is meant.
            self._log.warning("The idempotency key is another than that of job %s: a new message.", recorded.job_id)
            recorded = None
        began, try_began = time.monotonic() if began is None else began, None
        job: OutreachJob
        nothing_before = this_try.nothing_before and not self._shared_key
        steps = find_or_send(
            recorded,
            first_try=first_try,
            nothing_before=nothing_before,
            try_number=this_try.number,
            recorded_now=recorded is not None and recorded.job_id in self._found,
        )
        step = next(steps)
        while True:
            if isinstance(step, Get):
                attempt = recorded or current
                self._use_version(attempt.version)
                job = self._get_recorded(step.job_id)
                if first_try and attempt.cancels_since is not None:
                    job = self._cancelled(job)
            else:
                attempt = replace(current, number=step.attempt)
                if recorded and recorded.number == step.attempt:
                    # A try that ended before it learned of a job: the key holds for one version of the API.
                    attempt = replace(attempt, version=recorded.version)
                self._use_version(attempt.version)
                job = self._send(attempt)
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
            self._memory.keep(replace(recorded, max_tries=this_try.max_tries, cancels_since=current.cancels_since))
            outdated = recorded.message != self._message and not job.failed
            sent_before = not job.failed and job.id not in self._found
            return Sent(job, outdated=outdated, version=recorded.version, sent_before=sent_before)
        self._memory.keep(replace(attempt, number=number, job_id=job.id))
        ended_before = recorded is None and _ended_before(job, try_began)
        sent_before = ended_before and not job.failed
        return Sent(job, False, attempt.version, ended_before=ended_before, sent_before=sent_before)

    def first_attempt(self, this_try: Try) -> Attempt:
        """
        Return the first attempt, as it is recorded before it is made.

        :param this_try: The try.
        """
        return this_try.first_attempt(digest(self._key), self._message, self._version, cancels=self._cancel is not None)

    def _send(self, attempt: Attempt) -> OutreachJob:
        # If this try ends before it learns of the job, the next one repeats this key.
        self._memory.keep(attempt)
        job = self._post(attempt_key(self._key, attempt.number))
        job_id = job.id
        self._found.add(job_id)
        self._memory.keep(replace(attempt, job_id=job_id))
        if not self._confirm:
            return job
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

    def _cancelled(self, job: OutreachJob) -> OutreachJob:
        """Cancel a job that a person meant to end: whoever was to do so when the task ended may not have come to it."""
        if self._cancel is None or not job.can_be_cancelled:
            return job
        self._log.info("%s The task was cleared while it waited: cancelling the job.", job.standing)
        try:
            return self._cancel(job.id)
        except CANCEL_REJECTED as e:
            self._log.warning("Outreach job %s is not cancelled, so the task goes on with it: %s", job.id, e)
            return job

    def _get_recorded(self, job_id: str) -> OutreachJob:
        try:
            return self._get(job_id)
        except RevorNotFoundError as e:
            raise RevorNotFoundError.of(
                f"Revor does not know outreach job {job_id} on connection {self._conn_id!r}, which an earlier try of "
                "this task created. Nothing is sent.",
                "Check that the connection leads to the same Revor, with an API key of the same user. To send "
                "nevertheless, write to this person from another task; in a campaign, strike them from its ledger.",
                f"status {e.status_code}, code {e.code}, request_id {e.request_id}",
                code=e.code,
                status_code=e.status_code,
                request_id=e.request_id,
            ) from None


def _ended_before(job: OutreachJob, moment: float | None) -> bool:
    return job.ended_at is not None and moment is not None and job.ended_at < moment - DOUBT


def this_try(context: Context, retries: int, kind: type[_Try]) -> _Try:
    """
    Return the try that a task is in.

    :param context: The task's context.
    :param retries: The ``retries`` of the task.
    :param kind: The class to make it of.
    """
    ti = context["ti"]
    clears = getattr(context.get("dag_run"), "clear_number", None) if COUNTS_CLEARS else None
    mapped = getattr(ti, "map_index", -1) not in (None, -1)
    rescheduled = bool(context.get("task_reschedule_count"))
    return kind(ti.try_number, ti.max_tries, retries, clears, mapped, rescheduled)
