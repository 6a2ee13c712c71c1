"""Tells arguments that are known when the Dag is parsed from those known only when the task runs."""

from __future__ import annotations

import os
from typing import Any

from airflow_provider_revor.exceptions import RevorValueError


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
    return is_literal(value) if isinstance(value, str) else not _is_made_late(value)


def _is_made_late(value: Any) -> bool:
    """Return whether Airflow puts something else in its place when the task runs, as for a task's output."""
    # As Airflow's own test: a path's `resolve` is another one.
    return callable(value) or (hasattr(value, "resolve") and not isinstance(value, os.PathLike))


def check_switch(name: str, value: Any) -> bool:
    """
    Return an argument that switches something on or off, and is not templated.

    A text such as ``"False"``, a template and a param of the Dag are true to Python, whatever they stand for.

    :param name: The argument's name, for the message of an error.
    :param value: What the Dag's author gave; None for False.
    :raises RevorValueError: (a ValueError) if it is something else.
    """
    if not isinstance(value, int | None):
        given = f"={value!r}" if isinstance(value, str) else f" is of the type {type(value).__name__}"
        raise RevorValueError(
            f"{name}{given}: use True or False. It is not templated, so nothing that is known only when "
            "the task runs can be used."
        )
    return bool(value)
