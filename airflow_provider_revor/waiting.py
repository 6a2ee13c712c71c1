"""What all that waits has in common: bounds, pauses, deadlines, and how it tells of its waiting."""

from __future__ import annotations

import hashlib
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_provider_revor.api.outreach import OutreachJob
    from airflow_provider_revor.version_compat import Log

# Seconds; a poke_interval of 0 is allowed by Airflow, and would be a loop without a pause.
MIN_POKE_INTERVAL = 0.1

# Seconds; a Retry-After beyond it is a mistake, which must not put every gate of a connection to sleep for good.
LONGEST_PAUSE = 86_400.0

# Seconds. A trigger keeps the time itself, also where Airflow does not (`airflow dags test`). Airflow's own clock, this
# much later, is for a triggerer that is gone.
TRIGGERER_GRACE = 60.0

# Many jobs are made at once.
_JOB_JITTER = 0.25

DeadlineStatus = Literal["timeout", "execution_timeout"]


def seconds(value: timedelta | float) -> float:
    """
    Return a length of time in seconds.

    :param value: Seconds, or a timedelta.
    """
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


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


def spread(share: float) -> float:
    """
    Return a factor from 1 on, by chance: what began together shall not go on in step.

    :param share: The most that it adds to 1. Upwards only: nobody asks sooner than they were told to.
    """
    return 1 + share * random.random()  # noqa: S311


def job_pause(poll: OutreachJob | Exception, poke_interval: float, now: float) -> float:
    """
    Return after how many seconds a job is looked at again.

    :param poll: What the last look showed: how it stands, or why that could not be learned.
    :param poke_interval: The least seconds between two looks.
    :param now: The time, in seconds since the epoch.
    """
    if isinstance(poll, Exception):
        asked = min(getattr(poll, "retry_after", None) or 0, LONGEST_PAUSE)
    else:
        # Nothing becomes of a job before it may begin.
        asked = (poll.begins_at or now) - now
    interval = max(poke_interval, MIN_POKE_INTERVAL)
    return max(interval, asked) + interval * (spread(_JOB_JITTER) - 1)


class WaitLog:
    """
    Tells what is waited for once per change, not once per poll.

    :param log: Where it goes.
    :param subject: What each poll is to learn, as in "Could not learn …".
    :param told: The mark of what has been told already, by the worker before it deferred.
    """

    def __init__(self, log: Log, subject: str, told: str | None = None) -> None:
        self._log = log
        self._subject = subject
        self.told = told

    def waiting(self, reason: str) -> None:
        """Tell why the wait goes on, if that is news."""
        if self._is_news(reason):
            self._log.info("Waiting. %s", reason)

    def trouble(self, error: Exception) -> None:
        """Tell that a poll failed and is waited out, if that is news."""
        # The message holds a new request id each time, so that it alone would always be news.
        kind = (type(error).__name__, getattr(error, "status_code", None), getattr(error, "code", None))
        if self._is_news(str(kind)):
            self._log.warning("Could not learn %s, waiting on: %s: %s", self._subject, kind[0], error)

    def _is_news(self, what: str) -> bool:
        mark = hashlib.sha256(what.encode(errors="replace")).hexdigest()[:16]
        news, self.told = mark != self.told, mark
        return news
