"""How long a task waits before its next try, by what Revor said. For Airflow 3.3+."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.version_compat import RETRY_POLICIES
from airflow_provider_revor.waiting import LONGEST_PAUSE, spread

if not RETRY_POLICIES:
    raise ImportError(
        "RevorRetryPolicy takes Airflow 3.3+, which brought retry policies. Below, give the task `retries`, a "
        "`retry_delay` and `retry_exponential_backoff`: what cannot heal fails without retries on every Airflow."
    )

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Many tasks fail together.
_JITTER = 0.25


@dataclass(frozen=True)
class RevorRetryPolicy(RetryPolicy):
    """
    Decide on the next try of a task that met an error of Revor's.

    What cannot heal fails the task at once, also where a task of your own has wrapped the error (``raise … from …``).
    Where Revor asks to stay away (``Retry-After``), the next try is exactly then, within a day. On anything else of
    Revor's it backs off: ``first_delay``, then twice as long each time, up to ``longest_delay``, and up to a quarter
    more by chance. What is not Revor's goes by the task's own ``retry_delay``. How often a task is tried is up to its
    ``retries``.

    .. code-block:: python

        @task(retries=5, retry_policy=RevorRetryPolicy())
        def sync(): ...

    :param first_delay: The pause before the second try. Default: 30 seconds.
    :param longest_delay: The longest pause, if Revor does not ask for a longer one. Default: one hour.
    """

    first_delay: timedelta = timedelta(seconds=30)
    longest_delay: timedelta = timedelta(hours=1)

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """
        Decide whether and when to try again.

        :param exception: What the task met.
        :param try_number: Which try it was, from 1 on.
        :param max_tries: How many the task has.
        :param context: The task's context; not used.
        """
        error = next((link for link in _chain(exception) if isinstance(link, RevorError)), None)
        if error is None:
            return RetryDecision.default()
        name = f"{type(error).__name__} {error.code or ''}".rstrip()
        if isinstance(error, AirflowFailException):
            return RetryDecision.fail(f"{name}: trying again cannot help.")
        if error.retry_after:
            pause = timedelta(seconds=min(error.retry_after, LONGEST_PAUSE))
            return RetryDecision.retry(pause, f"{name}: Revor asks to stay away for {pause.total_seconds():g} s.")
        return RetryDecision.retry(self._backoff(try_number), f"{name}: it may heal by itself.")

    def _backoff(self, try_number: int) -> timedelta:
        # The exponent has a bound of its own: a timedelta has one, too.
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
        Return the policy that :meth:`serialize` wrote down.

        :param data: Plain JSON.
        """
        return cls(timedelta(seconds=data["first_delay"]), timedelta(seconds=data["longest_delay"]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk from an error to what it was raised from; what came up while another was handled is its own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__
