"""The pace of a batch's requests: even, within Revor's rate limit, and slow after a 429."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_revor.api.limits import RateLimit

# Seconds between two requests after a first 429 that names no limit; twice as many after each further one.
_FIRST_BRAKE, _LONGEST_BRAKE = 1.0, 60.0
# Each success multiplies the brake by this; below the second number it is off.
_RELEASE = 0.9
_RELEASED = 0.05


class Pace:
    """
    The pauses between the requests of a batch.

    :param most_per_minute: The most requests a minute; None for as many as Revor allows.
    """

    def __init__(self, most_per_minute: float | None = None) -> None:
        self._least = 60 / most_per_minute if most_per_minute else 0.0
        self._brake = 0.0

    def after_response(self, limit: RateLimit | None) -> float:
        """
        Return the seconds from a request that went well to the next one.

        :param limit: What the response says about the rate limit.
        """
        self._brake = self._brake * _RELEASE if self._brake > _RELEASED else 0.0
        return max(self._least, self._brake, limit.pause if limit else 0.0)

    def after_rejection(self, retry_after: float | None, limit: RateLimit | None) -> float:
        """
        Return the seconds from a 429 to the next request. The requests after it begin slowly: no burst after a wait.

        :param retry_after: Seconds that Revor asked to wait.
        :param limit: What the response says about the rate limit.
        """
        self._brake = min(max(2 * self._brake, _FIRST_BRAKE), _LONGEST_BRAKE)
        return max(self._least, self._brake, retry_after or 0.0, limit.pause if limit else 0.0)
