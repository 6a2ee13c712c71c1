"""What a Dag's author wrote: known when the Dag is parsed, or only once it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_literal(value: Any) -> bool:
    """
    Return whether a templated argument is known when the Dag is parsed.

    :param value: What was given: a value, a template, or an upstream task's output.
    """
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    return value is None or isinstance(value, (bool, int, float))


def is_known(value: Any) -> bool:
    """
    Return whether a templated argument, or its outline, is known when the Dag is parsed.

    :param value: What was given. An object or a list is known, though what is in it may not be.
    """
    return is_literal(value) or isinstance(value, (Mapping, list, tuple))
