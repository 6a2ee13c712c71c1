"""A retry policy for tasks that call Revor. For Airflow 3.3+."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.rules.pauses import LONGEST_PAUSE, spread
from airflow_provider_revor.version_compat import RETRY_POLICIES

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


@dataclass(frozen=True)
class RevorRetryPolicy(RetryPolicy):
    """
    Decide whether and when a task is tried again after a :class:`.RevorError`.

    An error that a retry cannot help fails the task at once, even if the task has wrapped it (``raise … from …``).
    Where Revor asks for a wait (``Retry-After``), the next try is not before that, within a day. After any other error
    of Revor the delay is ``first_delay``, then twice as long each time, up to ``longest_delay``. A random quarter at
    most is added to each delay, so that tasks that failed together do not come back together. Other errors use the
    task's own ``retry_delay``. How often a task is tried is up to its ``retries``.

    .. code-block:: python

        @task(retries=5, retry_policy=RevorRetryPolicy())
        def sync(): ...

    :param first_delay: The delay before the second try. Default: 30 seconds.
    :param longest_delay: The longest delay, unless Revor asks for a longer one. Default: one hour.
    """

    first_delay: timedelta = timedelta(seconds=30)
    longest_delay: timedelta = timedelta(hours=1)

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """
        Decide whether and when to try again.

        :param exception: The error that the task raised.
        :param try_number: The number of the try, from 1 on.
        :param max_tries: How many tries the task has.
        :param context: The task's context; not used.
        """
        error = next((link for link in _chain(exception) if isinstance(link, RevorError)), None)
        if error is None:
            return RetryDecision.default()
        name = f"{type(error).__name__} {error.code or ''}".rstrip()
        if isinstance(error, AirflowFailException):
            return RetryDecision.fail(f"{name}: a retry cannot help.")
        if error.retry_after:
            asked = timedelta(seconds=min(error.retry_after, LONGEST_PAUSE))
            return RetryDecision.retry(
                asked * spread(_JITTER), f"{name}: Revor asks for a wait of {asked.total_seconds():g} s."
            )
        return RetryDecision.retry(self._backoff(try_number), f"{name}: it may pass by itself.")

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
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RevorRetryPolicy:
        """
        Return the policy that :meth:`serialize` wrote.

        :param data: Plain JSON.
        """
        return cls(timedelta(seconds=data["first_delay"]), timedelta(seconds=data["longest_delay"]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error along its causes; an error that came up while another was handled stands for itself."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__
