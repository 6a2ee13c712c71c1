"""
What is sent again, how often, and after how long: one policy for sync and async.

Sent again: what Revor limits (429) or cannot answer now (502, 503, 504), and what got no answer at all, as long as
sending it again cannot act twice. Never anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_revor.exceptions import RevorConnectionError, RevorError, RevorRateLimitError

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from airflow_provider_revor.api.wire import Request
    from airflow_provider_revor.version_compat import Log

# A longer wait is not slept through here: the error carries it to whoever can wait without holding a worker.
LONGEST_WAIT = 60.0

_HEALING_STATUS = frozenset({502, 503, 504})


def policy(request: Request, max_retries: int, log: Log) -> dict[str, Any]:
    """
    Return the arguments for tenacity's ``Retrying`` or ``AsyncRetrying``.

    :param request: What is to be sent.
    :param max_retries: How often it is sent again at the most.
    :param log: Where each wait is told.
    """
    from tenacity import retry_if_exception, stop_after_attempt, wait_random_exponential

    backoff = wait_random_exponential(multiplier=1, max=LONGEST_WAIT)

    def wait(state: RetryCallState) -> float:
        return getattr(_error(state), "retry_after", None) or backoff(state)

    def tell(state: RetryCallState) -> None:
        log.warning("Asking Revor again in %.1f s: %s", state.upcoming_sleep, _error(state))

    return {
        "retry": retry_if_exception(lambda e: request.repeatable and _heals_soon(e)),
        "stop": stop_after_attempt(max_retries + 1),
        "wait": wait,
        "before_sleep": tell,
        "reraise": True,
    }


def _heals_soon(error: BaseException) -> bool:
    if not isinstance(error, RevorError) or (error.retry_after or 0) > LONGEST_WAIT:
        return False
    return isinstance(error, (RevorRateLimitError, RevorConnectionError)) or (error.status_code in _HEALING_STATUS)


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
