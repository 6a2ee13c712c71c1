"""Shared limits, pauses and deadlines of everything that waits."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from airflow_provider_revor.exceptions import RevorMissingConnectionError, RevorValueError

if TYPE_CHECKING:
    from airflow_provider_revor.api.jobs import OutreachJob

# Seconds; a poke_interval of 0 is allowed by Airflow, and would be a loop without a pause.
MIN_POKE_INTERVAL = 0.1

# Seconds; a Retry-After beyond it is a mistake, which must not put every gate of a connection to sleep for good.
LONGEST_PAUSE = 86_400.0

# Seconds; a job that is scheduled for later is looked at as often, because it may be cancelled long before its time.
LONGEST_JOB_PAUSE = 3_600.0

# Seconds. A trigger keeps the time itself, also where Airflow does not (`airflow dags test`). Airflow's own clock, this
# much later, is for a triggerer that is gone.
TRIGGERER_GRACE = 60.0

# Seconds for which a connection that Airflow does not find may be Airflow's own trouble.
MISSING_PATIENCE = 300.0

# Ten years, in seconds: the longest interval or timeout. A date or a sleep further ahead overflows somewhere.
_LONGEST = 10 * 365 * 86_400.0

# Many jobs are made at once.
_JOB_JITTER = 0.25

# Many tasks are told at once when to come back.
_RETRY_JITTER = 0.1

DeadlineStatus = Literal["timeout", "execution_timeout"]


def seconds(value: timedelta | float, name: str = "a length of time") -> float:
    """
    Return a length of time in seconds, ten years at the most.

    :param value: Seconds, or a timedelta.
    :param name: The argument that it was given as, for the message.
    :raises RevorValueError: (a ValueError) if it is negative, infinite or no number.
    """
    length = value.total_seconds() if isinstance(value, timedelta) else value
    # Not a number is neither above nor below any other.
    if not isinstance(length, (int, float)) or not 0 <= length < float("inf"):
        raise RevorValueError(f"{name}={value!r}: use a number of seconds from 0 on, or a timedelta.")
    return float(min(length, _LONGEST))


def time_left(timeout: float, execution_timeout: timedelta | None, spent: float) -> tuple[float, DeadlineStatus]:
    """
    Return for how many seconds a task may still wait, and which limit that is.

    :param timeout: Seconds that its own timeout leaves.
    :param execution_timeout: Airflow's limit for the whole task, or None.
    :param spent: Seconds that the task has run already.
    """
    if execution_timeout and (left := execution_timeout.total_seconds() - spent) < timeout:
        return max(left, 0), "execution_timeout"
    return max(timeout, 0), "timeout"


def deferral_timeout(left: float) -> timedelta:
    """
    Return when Airflow itself gives a deferred task up, from now on.

    :param left: Seconds after which its trigger gives up.
    """
    return timedelta(seconds=min(left, _LONGEST) + TRIGGERER_GRACE)


def spread(share: float) -> float:
    """
    Return a random factor from 1 to 1 + share, so that waits drift apart.

    :param share: The most that it adds to 1. Upwards only: nobody asks sooner than they were told to.
    """
    return 1 + share * random.random()  # noqa: S311


def asked_pause(poll: object) -> float:
    """
    Return how many seconds to stay away because a response asked for it, and a little longer by chance.

    :param poll: What a poll came to: only an error with a ``retry_after`` asks for anything.
    """
    return retry_after(poll) * spread(_RETRY_JITTER)


def retry_after(poll: object) -> float:
    """
    Return how many seconds a response asks to stay away, a day at the most.

    :param poll: What a poll came to: only an error with a ``retry_after`` asks for anything.
    """
    return min(getattr(poll, "retry_after", None) or 0, LONGEST_PAUSE)


def job_pause(poll: OutreachJob | Exception, poke_interval: float, now: float) -> float:
    """
    Return after how many seconds a job is looked at again.

    :param poll: What the last look showed: how it stands, or why that could not be learned.
    :param poke_interval: The least seconds between two looks.
    :param now: The time, in seconds since the epoch.
    """
    asked = asked_pause(poll)
    if not isinstance(poll, Exception):
        # Before its time, nothing can become of a job but that it is cancelled.
        asked = min((poll.begins_at or now) - now, LONGEST_JOB_PAUSE)
    interval = max(poke_interval, MIN_POKE_INTERVAL)
    return max(interval, asked) + interval * (spread(_JOB_JITTER) - 1)


def first_pause(first_poll_at: float | None, poke_interval: float, now: float) -> float:
    """
    Return how many seconds a trigger waits before its first poll: a day or an interval at the most.

    :param first_poll_at: When the first poll may be, in seconds since the epoch; None for at once.
    :param poke_interval: The least seconds between two polls.
    :param now: The time, in seconds since the epoch; maybe not by the clock that ``first_poll_at`` is of.
    """
    return min(max(0.0, (first_poll_at or 0.0) - now), max(poke_interval, LONGEST_PAUSE))


class Misses:
    """
    Counts how long Airflow has not found the connection, look after look.

    Airflow reports a secrets backend or an API server in trouble in the same way as a connection that was deleted, so
    a wait bears with consecutive misses for some minutes.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def bears_with(self, poll: object, now: float) -> bool:
        """
        Note what a look came to, and return whether it is a miss to wait out.

        :param poll: What the look showed, or the error that came instead.
        :param now: The time, in seconds; the same clock each time.
        """
        if not isinstance(poll, RevorMissingConnectionError):
            self._since = None
            return False
        # A clock that was set back must not prolong the wait.
        self._since = now if self._since is None else min(self._since, now)
        return now - self._since < MISSING_PATIENCE
