"""Progress logging of everything that waits."""

from __future__ import annotations

import hashlib
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_revor.version_compat import Log

# Seconds between two lines on how far a batch has come.
_LEAST = 60.0

# Seconds after which a wait logs that it goes on, although nothing has changed.
SIGN_OF_LIFE_INTERVAL = 3600.0


def from_now(moment: float) -> str:
    """
    Return how far away a moment is, in words such as "in 3 hours".

    :param moment: In seconds since the epoch.
    """
    import pendulum

    return pendulum.from_timestamp(moment).diff_for_humans()


def clock_time(moment: float) -> str:
    """
    Return a moment as people write it, such as ``2026-01-01 09:00:00 UTC``.

    :param moment: In seconds since the epoch.
    """
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC"


def job_question(job_id: object) -> str:
    """
    Return what each poll for a job asks, for :class:`WaitLog`.

    :param job_id: The job.
    """
    return f"how outreach job {job_id} stands"


class WaitLog:
    """
    Logs what is waited for: once per change, and now and then while nothing changes.

    :param log: Where it goes.
    :param question: What each poll asks, as in "Could not learn which accounts can send".
    :param last_logged: The digest of what was logged last, by the worker before it deferred.
    :param every: Seconds after which it logs again although nothing has changed.
    """

    def __init__(
        self, log: Log, question: str, last_logged: str | None = None, every: float = SIGN_OF_LIFE_INTERVAL
    ) -> None:
        self._log = log
        self._question = question
        self._every = every
        self._logged_at = time.time()
        self._has_just_logged = False
        self.last_logged = last_logged
        #: Why the wait goes on, by the latest poll.
        self.reasons: tuple[str, ...] = ()
        #: When the next poll is, in seconds since the epoch; None if no poll has been yet.
        self.next_poll_at: float | None = None

    def waiting(self, *reasons: str) -> None:
        """
        Log why the wait goes on, if that is news or it is time for a sign of life.

        :param reasons: Sentences; each is a line.
        """
        self.reasons = reasons
        if occasion := self._occasion("\n".join(reasons)):
            self._log.info("%s %s", "Waiting." if occasion == "news" else "Still waiting.", reasons[0])
            for reason in reasons[1:]:
                self._log.info("%s", reason)

    def unchanged(self) -> None:
        """Log why the wait goes on, as by the last poll, if it is time for a sign of life."""
        if time.time() >= self._logged_at + self._every:
            self.waiting(*self.reasons)

    def trouble(self, error: Exception) -> None:
        """Log that a poll failed and is waited out, if that is news or it is time for a sign of life."""
        name, code = type(error).__name__, getattr(error, "code", None)
        text = f"Could not learn {self._question}, waiting on: {name}: {error}"
        self.reasons = (text,)
        # Where Revor gives no code, the text tells one reason from another: refused, certificate expired.
        reason = code or _without_numbers(str(error), getattr(error, "request_id", None))
        if occasion := self._occasion(f"{name} {getattr(error, 'status_code', None)} {reason}"):
            self._log.warning("%s%s", "" if occasion == "news" else "Still waiting. ", text)

    def pausing(self, pause: float, until: float | None) -> None:
        """
        Log when the next poll is, and when the wait ends, if a line was just logged.

        :param pause: Seconds until the next poll.
        :param until: When the wait ends, in seconds since the epoch; None for never.
        """
        self.next_poll_at = time.time() + pause
        if self._has_just_logged:
            ends = "" if until is None else f" and waits until {clock_time(until)} at the latest"
            self._log.info("It looks again in about %s%s.", in_words(pause), ends)
            self._has_just_logged = False

    def _occasion(self, what: str) -> Literal["news", "sign of life"] | None:
        """Return why it is time to log what a poll came to; None if it is not."""
        now = time.time()
        digest = hashlib.sha256(what.encode(errors="replace")).hexdigest()[:16]
        is_news, self.last_logged = digest != self.last_logged, digest
        if not is_news and now < self._logged_at + self._every:
            return None
        self._logged_at, self._has_just_logged = now, True
        return "news" if is_news else "sign of life"


def _without_numbers(text: str, request_id: str | None) -> str:
    """Return a message without what differs each time: the request id, ports, addresses, times."""
    return re.sub(r"0x[0-9a-f]+|\d+", "#", text.replace(request_id, "") if request_id else text)


class ProgressLog:
    """
    Logs how far a batch has come: when that has changed, and at most once a minute.

    :param log: The task's or the trigger's log.
    :param total: How many messages there are.
    :param outcomes: Which outcomes are progress, in the order of the line.
    :param at_once: Whether the first line comes at once, and not after a minute. Default: True.
    """

    def __init__(self, log: Log, total: int, outcomes: tuple[str, ...], *, at_once: bool = True) -> None:
        self._log = log
        self._total = total
        self._outcomes = outcomes
        self._logged: tuple[int, ...] | None = None
        self._logged_at = float("-inf") if at_once else time.monotonic()

    def update(self, counts: Mapping[str, int], now: float, next_in: float | None = None) -> None:
        """
        Log how far it has come, if it is time to.

        :param counts: How many messages there are of each outcome.
        :param now: The time in seconds, by the monotonic clock.
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
