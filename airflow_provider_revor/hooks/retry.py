"""
Retry policy for sync and async requests.

A request is sent again after a limit (429, too many jobs), after 502, 503 and 504, and where no response came, as long
as sending it again cannot act twice. Never after anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_revor.exceptions import RevorConnectionError, RevorRateLimitError, RevorTransientError
from airflow_provider_revor.metrics import count_retry
from airflow_provider_revor.rules.pauses import spread

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from airflow_provider_revor.api.wire import Request
    from airflow_provider_revor.version_compat import Log

# A longer wait is not slept through here: the error carries it to whoever can wait without holding a worker.
LONGEST_WAIT = 60.0

# Requests that hit a shared limit together are told to wait equally long.
_JITTER = 0.25

_HEALING_STATUS = frozenset({502, 503, 504})


def policy(request: Request, max_retries: int, log: Log, conn_id: str | None = None) -> dict[str, Any]:
    """
    Return the arguments for tenacity's ``Retrying`` or ``AsyncRetrying``.

    :param request: The request.
    :param max_retries: How often it is sent again at the most.
    :param log: The log that names each wait and its reason.
    :param conn_id: The Airflow connection, for the metrics; None for none.
    """
    from tenacity import retry_if_exception, stop_after_attempt, wait_random_exponential

    backoff = wait_random_exponential(multiplier=1, max=LONGEST_WAIT)

    def wait(state: RetryCallState) -> float:
        asked: float | None = getattr(_error(state), "retry_after", None)
        return asked * spread(_JITTER) if asked else backoff(state)

    def tell(state: RetryCallState) -> None:
        count_retry(conn_id)
        log.warning("Sending the request again in %.1f s: %s", state.upcoming_sleep, _error(state))

    return {
        "retry": retry_if_exception(lambda e: request.repeatable and _heals_soon(e)),
        "stop": stop_after_attempt(max_retries + 1),
        "wait": wait,
        "before_sleep": tell,
        "reraise": True,
    }


def _heals_soon(error: BaseException) -> bool:
    # A code may say more than the status: what a retry cannot help is not sent again, whatever the status.
    if not isinstance(error, RevorTransientError) or (error.retry_after or 0) > LONGEST_WAIT:
        return False
    return isinstance(error, (RevorRateLimitError, RevorConnectionError)) or (error.status_code in _HEALING_STATUS)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
