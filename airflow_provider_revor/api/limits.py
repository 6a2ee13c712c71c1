"""
What a response says about the rate limit.

Source: "Basics" of the Revor API reference: rate limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# Seconds. No longer window of Revor's is known, and a wrong header must not stop a batch for ever.
_LONGEST_PAUSE = 600.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """
    How many requests are left.

    :param remaining: Requests that are left in the window.
    :param window: Its length in seconds.
    """

    remaining: int
    window: float

    @property
    def pause(self) -> float:
        """
        Seconds between two requests that spread the remaining ones evenly over a whole window.

        Requests at this pace stay within the limit, whenever the window began, and whether it slides or starts over.
        """
        return min(self.window / max(self.remaining, 1), _LONGEST_PAUSE)


def read_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """
    Return the tighter one of the key's and the owner's limit; None if the response names neither.

    :param headers: A response's headers, the names in lower case.
    """
    limits = [limit for prefix in ("x-ratelimit", "x-user-ratelimit") if (limit := _limit(headers, prefix))]
    return max(limits, key=lambda limit: limit.pause, default=None)


def _limit(headers: Mapping[str, str], prefix: str) -> RateLimit | None:
    remaining, window = _number(headers, f"{prefix}-remaining"), _number(headers, f"{prefix}-window-ms")
    return None if remaining is None or window is None else RateLimit(remaining, window / 1000)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "").strip()
    return int(value) if re.fullmatch(r"\d{1,15}", value, re.ASCII) else None
