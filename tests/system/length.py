"""How much the system tests do: little in CI, much with ``make test-system LONG=1``."""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

T = TypeVar("T")

LONG = os.environ.get("LONG") == "1"

long_only = pytest.mark.skipif(not LONG, reason="only with LONG=1")


def by_length(short: T, long: T) -> T:
    """Return one of two numbers: of gates, messages or crashes."""
    return long if LONG else short
