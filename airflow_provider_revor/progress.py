"""Progress logging of everything that waits."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_revor.version_compat import Log

# Seconds between two lines on how far a batch has come.
_LEAST = 60.0


def from_now(moment: float) -> str:
    """
    Return how far away a moment is, in words such as "in 3 hours".

    :param moment: In seconds since the epoch.
    """
    import pendulum

    return pendulum.from_timestamp(moment).diff_for_humans()


def job_question(job_id: object) -> str:
    """
    Return what each poll for a job asks, for :class:`WaitLog`.

    :param job_id: The job.
    """
    return f"how outreach job {job_id} stands"


class WaitLog:
    """
    Logs what is waited for once per change, not once per poll.

    :param log: Where it goes.
    :param question: What each poll asks, as in "Could not learn which accounts can send".
    :param last_logged: The digest of what was logged last, by the worker before it deferred.
    """

    def __init__(self, log: Log, question: str, last_logged: str | None = None) -> None:
        self._log = log
        self._question = question
        self.last_logged = last_logged

    def waiting(self, reason: str) -> None:
        """Log why the wait goes on, if that is news."""
        if self._is_news(reason):
            self._log.info("Waiting. %s", reason)

    def trouble(self, error: Exception) -> None:
        """Log that a poll failed and is waited out, if that is news."""
        name, code = type(error).__name__, getattr(error, "code", None)
        # Where Revor gives no code, the text tells one reason from another: refused, certificate expired.
        reason = code or _without_numbers(str(error), getattr(error, "request_id", None))
        if self._is_news(f"{name} {getattr(error, 'status_code', None)} {reason}"):
            self._log.warning("Could not learn %s, waiting on: %s: %s", self._question, name, error)

    def _is_news(self, what: str) -> bool:
        digest = hashlib.sha256(what.encode(errors="replace")).hexdigest()[:16]
        is_news, self.last_logged = digest != self.last_logged, digest
        return is_news


def _without_numbers(text: str, request_id: str | None) -> str:
    """Return a message without what differs each time: the request id, ports, addresses, times."""
    return re.sub(r"0x[0-9a-f]+|\d+", "#", text.replace(request_id, "") if request_id else text)


class ProgressLog:
    """
    Logs how far a batch has come: when that has changed, and at most once a minute.

    :param log: The task's or the trigger's log.
    :param total: How many messages there are.
    :param outcomes: Which outcomes are progress, in the order of the line.
    """

    def __init__(self, log: Log, total: int, outcomes: tuple[str, ...]) -> None:
        self._log = log
        self._total = total
        self._outcomes = outcomes
        self._logged: tuple[int, ...] | None = None
        self._logged_at = float("-inf")

    def update(self, counts: Mapping[str, int], now: float, next_in: float | None = None) -> None:
        """
        Log how far it has come, if it is time to.

        :param counts: How many messages there are of each outcome.
        :param now: The time in seconds, by any clock that does not go back.
        :param next_in: Seconds until something may happen; None for at once.
        """
        numbers = tuple(counts.get(name, 0) for name in self._outcomes)
        if numbers == self._logged or now < self._logged_at + _LEAST:
            return
        self._logged, self._logged_at = numbers, now
        listed = ", ".join(f"{number:,} {name}" for number, name in zip(numbers, self._outcomes, strict=True))
        then = f"; next in {in_words(next_in)}" if next_in is not None else ""
        self._log.info("%s of %s: %s%s.", f"{sum(numbers):,}", f"{self._total:,}", listed, then)


def in_words(seconds: float) -> str:
    """
    Return a length of time as people say it, such as ``3 minutes``.

    :param seconds: The time.
    """
    import pendulum

    unit = next((unit for unit in (86_400, 3600, 60) if seconds >= 2 * unit), 1)
    return pendulum.duration(seconds=max(round(seconds / unit), 1) * unit).in_words()
