"""A failed test shows the end of what each component has logged, as the system tests do."""

from __future__ import annotations

from system.conftest import pytest_runtest_makereport  # noqa: F401
