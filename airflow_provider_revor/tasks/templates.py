"""Tells templated arguments that are known when the Dag is parsed from those known only when the task runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_literal(value: Any) -> bool:
    """
    Return whether a templated argument is known when the Dag is parsed.

    :param value: The argument: a value, a template, or an upstream task's output.
    """
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    return value is None or isinstance(value, (bool, int, float))


def is_known(value: Any) -> bool:
    """
    Return whether a templated argument, or at least its structure, is known when the Dag is parsed.

    :param value: The argument. An object or a list is known, even if its members are not.
    """
    return is_literal(value) or isinstance(value, (Mapping, list, tuple))
