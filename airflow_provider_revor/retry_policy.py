"""A retry policy for tasks that call Revor. For Airflow 3.3+."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_revor.exceptions import (
    RevorConflictError,
    RevorError,
    RevorRateLimitError,
    RevorServerError,
    RevorValueError,
)
from airflow_provider_revor.rules.pauses import LONGEST_PAUSE, spread
from airflow_provider_revor.version_compat import RETRIES_RESCHEDULE, RETRY_POLICIES

if not RETRY_POLICIES:
    raise ImportError(
        "RevorRetryPolicy takes Airflow 3.3+, which brought retry policies. Below, give the task `retries`, a "
        "`retry_delay` and `retry_exponential_backoff`: errors that a retry cannot help skip retries on every Airflow."
    )

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Tasks that failed together must not come back together.
_JITTER = 0.25

# In the code of a 409: the account is only temporarily unusable. Revor documents no code for it.
_TEMPORARILY_UNUSABLE = re.compile(r"temporar|unavailable|unusable|not_available", re.IGNORECASE)


@dataclass(frozen=True)
class RevorRetryPolicy(RetryPolicy):
    """
    Decide whether and when a task is tried again after a :class:`.RevorError`.

    An error that a retry cannot help fails the task at once, even if the task has wrapped it (``raise … from …``).
    Where Revor asks for a wait (``Retry-After``), the next try is not before that, within a day. After any other error
    of Revor the delay is ``first_delay``, then twice as long each time, up to ``longest_delay``. A random quarter at
    most is added to each delay, so that tasks that failed together do not come back together. Other errors use the
    task's own ``retry_delay``. How often a task is tried is up to its ``retries``.

    On Airflow 3.4+, a task that meets a rate limit (429, or too many jobs at once), a 503 or a temporarily unusable
    account is rescheduled: it runs again after the same delay, and uses no retry. That lasts for ``reschedule_timeout``
    from its first reschedule in a try; later errors use the task's ``retries``.

    .. code-block:: python

        @task(retries=5, retry_policy=RevorRetryPolicy())
        def sync(): ...

    It composes with others in Airflow 3.4's ``ChainRetryPolicy``: about errors that are not Revor's it decides nothing.

    :param first_delay: The delay before the second try. Default: 30 seconds.
    :param longest_delay: The longest delay, unless Revor asks for a longer one. Default: one hour.
    :param reschedule_timeout: For how long a try may be rescheduled; None for never. Airflow 3.4+. Default: 12 hours.
    :raises RevorValueError: (a ValueError) if ``reschedule_timeout`` is not above zero.
    """

    first_delay: timedelta = timedelta(seconds=30)
    longest_delay: timedelta = timedelta(hours=1)
    reschedule_timeout: timedelta | None = timedelta(hours=12)

    def __post_init__(self) -> None:
        if self.reschedule_timeout is not None and self.reschedule_timeout <= timedelta():
            raise RevorValueError(
                f"reschedule_timeout={self.reschedule_timeout!r}: use a timedelta above zero; None for no reschedule."
            )

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """
        Decide whether and when to try again.

        :param exception: The error that the task raised.
        :param try_number: The number of the try, from 1 on.
        :param max_tries: How many tries the task has.
        :param context: The task's context: it tells how often this try was rescheduled.
        """
        error = next((link for link in _chain(exception) if isinstance(link, RevorError)), None)
        if error is None:
            return RetryDecision.default()
        name = f"{type(error).__name__} {error.code or ''}".rstrip()
        if isinstance(error, AirflowFailException):
            return RetryDecision.fail(f"{name}: a retry cannot help.")
        reschedule = _passes_without_retry(error) and self._may_reschedule(context)
        if error.retry_after:
            asked = timedelta(seconds=min(error.retry_after, LONGEST_PAUSE))
            delay = asked * spread(_JITTER)
            reason = f"{name}: Revor asks for a wait of {asked.total_seconds():g} s."
        else:
            # A try that was rescheduled keeps its number.
            runs = try_number + (context or {}).get("task_reschedule_count", 0) if reschedule else try_number
            delay, reason = self._backoff(runs), f"{name}: it may pass by itself."
        if reschedule:
            return RetryDecision.reschedule(  # type: ignore[attr-defined, no-any-return]  # Airflow 3.4 has it.
                delay, reschedule_timeout=self.reschedule_timeout, reason=reason
            )
        return RetryDecision.retry(delay, reason)

    def _may_reschedule(self, context: Context | None) -> bool:
        if not RETRIES_RESCHEDULE or self.reschedule_timeout is None:
            return False
        # Airflow asks the same, but past the limit it takes the task's own delay, whatever Revor asks for.
        first = context["ti"].get_first_reschedule_date(context) if context else None
        return first is None or datetime.now(UTC) - first < self.reschedule_timeout

    def _backoff(self, try_number: int) -> timedelta:
        # A timedelta has a limit, so the exponent needs one.
        doubled = self.first_delay * (1 << min(max(try_number - 1, 0), 30))
        return min(doubled, self.longest_delay) * spread(_JITTER)

    def serialize(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "__type": "airflow_provider_revor.retry_policy.RevorRetryPolicy",
            "first_delay": self.first_delay.total_seconds(),
            "longest_delay": self.longest_delay.total_seconds(),
            "reschedule_timeout": self.reschedule_timeout and self.reschedule_timeout.total_seconds(),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RevorRetryPolicy:
        """
        Return the policy that :meth:`serialize` wrote.

        :param data: Plain JSON.
        """
        timeout = data["reschedule_timeout"]
        return cls(
            timedelta(seconds=data["first_delay"]),
            timedelta(seconds=data["longest_delay"]),
            None if timeout is None else timedelta(seconds=timeout),
        )


def _passes_without_retry(error: RevorError) -> bool:
    """Return whether Revor is only not ready: a rate limit, a 503, or an account that is temporarily unusable."""
    if isinstance(error, RevorConflictError):
        return bool(_TEMPORARILY_UNUSABLE.search(error.code or ""))
    return isinstance(error, RevorRateLimitError) or (isinstance(error, RevorServerError) and error.status_code == 503)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error along its causes; an error that came up while another was handled stands for itself."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__
