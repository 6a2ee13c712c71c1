"""How much the system tests do: little in CI, much with ``make test-system LONG=1``."""

from __future__ import annotations

import os

import pytest

LONG = os.environ.get("LONG") == "1"

long_only = pytest.mark.skipif(not LONG, reason="only with LONG=1")


def by_length(short: int, long: int) -> int:
    """Return how many gates, messages or crashes a test has."""
    return long if LONG else short
