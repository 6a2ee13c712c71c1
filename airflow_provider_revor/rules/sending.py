"""
When a message is sent, and when it is not.

Each message is sent under an idempotency key, and each new attempt at it under a key of its own. One try of a task
looks for the job of the latest attempt and makes at most one new job. It starts a new attempt only if the job of the
attempt before has failed or was cancelled, had ended before this try began, and

- a person has cleared the task, and this is the first try since; or
- this is an automatic retry, and Revor says that trying again may help.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_revor.api.jobs import OutreachJob

# Seconds. The clocks of Revor's servers may differ a little, and a Date header has no fractions: a job that ended less
# than this before the try began may have been created by the try.
DOUBT = 5.0

# How many keys one try looks through beyond one for each try so far. Earlier tries of other task instances may have
# used some: a mapped list was generated again, or earlier runs used the same key of the Dag author's.
SPARE_ATTEMPTS = 20

# 2000-01-01, in seconds since the epoch. A job that is said to have ended before, as at 1970-01-01, is not known to.
_EARLIEST_END = 946_684_800.0


class Next(Enum):
    """What to do about a job that was found."""

    #: It goes on or has succeeded: it is this task's job.
    KEEP = "keep"
    #: It has failed, and a new attempt may be made.
    SEND = "send"
    #: It has failed, and so does the task.
    FAIL = "fail"


def decide(job: OutreachJob, *, first_try: bool, ended_before: bool) -> Next:
    """
    Return what to do about the job of an attempt.

    :param job: How the job stands now.
    :param first_try: Whether this is the first try of the task, or the first since a person cleared it.
    :param ended_before: Whether the job is known to have ended before this try began.
    """
    if not job.failed:
        return Next.KEEP
    if ended_before and (first_try or job.retry_may_help):
        return Next.SEND
    return Next.FAIL


@dataclass(frozen=True, slots=True)
class Try:
    """
    One try of a task instance, as Airflow counts it.

    :param number: The try, from 1 on.
    :param max_tries: Airflow's ``max_tries``. Clearing a task sets it to the tries so far plus the task's ``retries``.
    :param retries: The ``retries`` of the task.
    :param clears: How often tasks of the Dag run have been cleared; None if Airflow does not count each clear.
    :param mapped: Whether the task instance is one of a mapped task.
    :param rescheduled: Whether the try has run before, and was rescheduled.
    """

    number: int
    max_tries: int
    retries: int
    clears: int | None = None
    mapped: bool = False
    rescheduled: bool = False

    def is_first_after(self, recorded: Attempt | None) -> bool:
        """
        Return whether this is the first try of the task instance, or the first since a person cleared it.

        :param recorded: The attempt that an earlier try recorded.
        """
        # The same `max_tries` as then: not cleared since, whatever `retries` the Dag file gives the task now. A clear
        # that happens to leave it the same, after `retries` was lowered, is not seen: the next one is.
        if recorded and recorded.max_tries == self.max_tries:
            return self.follows_a_kill(recorded)
        # Without a record, a job that failed may be one that this very try created before it was rescheduled.
        if self.rescheduled and not recorded:
            return False
        return self.number == self.max_tries - self.retries + 1

    def follows_a_kill(self, recorded: Attempt) -> bool:
        """
        Return whether a person cleared the task while it ran and waited: Airflow counts the next try as a retry.

        :param recorded: The attempt that an earlier try recorded.
        """
        # By the run's count: a clear of another task, while this one's worker crashed, looks the same.
        return recorded.cancels_since is not None and (self.clears or 0) > recorded.cancels_since

    @property
    def follows_clear(self) -> bool:
        """Whether a person has cleared the task, and this is the first try since; without a record, as it seems."""
        return self.number > 1 and Try.is_first_after(self, None)

    def first_attempt(self, key: str, message: str, version: str | None, *, cancels: bool) -> Attempt:
        """
        Return the first attempt, as it is recorded before it is made.

        :param key: A digest of its idempotency key.
        :param message: A digest of what is sent.
        :param version: The API version; None if that is not known.
        :param cancels: Whether a person who ends the task cancels the job.
        """
        cancels_since = (self.clears or 0) if cancels else None
        return Attempt(1, None, key, message, self.max_tries, version, cancels_since)

    @property
    def nothing_before(self) -> bool:
        """Whether no task instance can have sent this message before, in this Dag run."""
        # A mapped list may have been generated again, so that its people are at other places; that takes a clear.
        return self.number == 1 and (not self.mapped or self.clears == 0)


class BatchTry(Try):
    """One try of a batch."""

    def is_first_after(self, recorded: Attempt | None) -> bool:
        """
        Return whether this is the first try for this person since a person cleared the task.

        The first try of the task after a clear may end before it comes to everyone: a later one goes on.

        :param recorded: The attempt that an earlier try recorded.
        """
        if recorded is None or recorded.max_tries is None:
            return Try.is_first_after(self, None)
        return recorded.max_tries != self.max_tries or self.follows_a_kill(recorded)


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    An attempt that an earlier try recorded.

    :param number: Which attempt, from 1 on.
    :param job_id: Its job; None if the try ended before it learned of one.
    :param key: A digest of the idempotency key that all attempts have in common.
    :param message: A digest of what was sent.
    :param max_tries: Airflow's ``max_tries`` at the time; None if another task of a campaign recorded it.
    :param version: The API version that it was sent by; None if that is not known.
    :param cancels_since: If a person who ends the task cancels the job: how often tasks of the Dag run had been cleared
        by then. None if not, or once the task has ended by itself.
    """

    number: int
    job_id: str | None
    key: str
    message: str
    max_tries: int | None
    version: str | None = None
    cancels_since: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: object) -> Attempt | None:
        """
        Return the attempt that :meth:`as_dict` wrote; None for anything else.

        :param value: What the store holds.
        """
        match value:
            case {
                "number": int(number),
                "job_id": str() | None as job_id,
                "key": str(key),
                "message": str(message),
                "max_tries": int(max_tries),
                "version": str() | None as version,
                "cancels_since": int() | None as cancels_since,
            } if number > 0:
                return cls(number, job_id, key, message, max_tries, version, cancels_since)
        return None


@dataclass(frozen=True, slots=True)
class Get:
    """The next step: get a job that an earlier try recorded."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Post:
    """The next step: send under the key of an attempt, then get the job, whatever the response says of its status."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Found:
    """
    The response to a step.

    :param job: How the job stands now, as the response to a GET says.
    :param try_began: When this try began or earlier, by Revor's clock, in seconds since the epoch; None if not known.
    :param elapsed: How many seconds this try has lasted.
    """

    job: OutreachJob
    try_began: float | None
    elapsed: float = 0.0


def find_or_send(
    recorded: Attempt | None,
    *,
    first_try: bool,
    nothing_before: bool,
    try_number: int,
    recorded_now: bool = False,
) -> Generator[Get | Post, Found, tuple[int, OutreachJob]]:
    """
    Lead one try of a task to its job: yield each step, and take the response to it.

    :param recorded: The latest attempt, if an earlier try recorded it.
    :param first_try: Whether this is the first try of the task, or the first since a person cleared it.
    :param nothing_before: Whether no other try can have sent the message before.
    :param try_number: The try, from 1 on.
    :param recorded_now: Whether this very try has recorded it: a batch comes back to somebody after an error. Default:
        False.
    :return: The number of the attempt and its job: one that goes on or has succeeded is the task's job; one that has
        failed fails the task.
    """
    attempt = recorded.number if recorded else 1
    if recorded and recorded.job_id:
        job = (yield Get(recorded.job_id)).job
        # A job that an earlier try recorded is not one that this try created.
        if decide(job, first_try=first_try, ended_before=not recorded_now) is not Next.SEND:
            return attempt, job
        attempt += 1
    # With a record, or where there is nothing to look for, one key is enough: whatever clocks say, one job at most.
    last = attempt if recorded or nothing_before else attempt + try_number + SPARE_ATTEMPTS
    last_end = _EARLIEST_END
    while True:
        found = yield Post(attempt)
        end = found.job.ended_at
        # The jobs of two attempts that ended within the time of this try may both have been created by it.
        apart = end is not None and end > last_end + found.elapsed + DOUBT
        old = apart and found.try_began is not None and end is not None and end < found.try_began - DOUBT
        if attempt == last or decide(found.job, first_try=first_try, ended_before=old) is not Next.SEND:
            return attempt, found.job
        attempt, last_end = attempt + 1, last_end if end is None else end
