"""What a task remembers across its processes and tries: on Airflow 3.3+, in the task state store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_revor.api.answers import plain_text

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.version_compat import Log

T = TypeVar("T")


class StateStore:
    """
    The task state store, as far as there is one and it can be reached.

    :param context: The task's context.
    :param log: Where a store that cannot be used is reported.
    :param without: What follows from that, as in "people may be told again".
    """

    def __init__(self, context: Context, log: Log, without: str) -> None:
        self._store: Any = context.get("task_state_store")
        self._log = log
        self._without = without

    @property
    def usable(self) -> bool:
        """Whether there is a store, and nothing has failed so far."""
        return self._store is not None

    def read(self, key: str, parse: Callable[[Any], T | None]) -> T | None:
        """
        Return what a value says; None if there is none.

        :param key: Its key.
        :param parse: Returns what a value says; None if it cannot be one of ours.
        """
        if self._store is None:
            return None
        try:
            if (value := self._store.get(key)) is None:
                return None
            if (parsed := parse(value)) is None:
                raise ValueError("The record is not one that this version of the provider writes.")
            return parsed
        # Whatever a store and its backend raise: no task must depend on it.
        except Exception as e:
            self._give_up("read", e)
        return None

    def write(self, key: str, value: Any) -> bool:
        """
        Write a value, and return whether that went well.

        :param key: Its key.
        :param value: Plain JSON.
        """
        if self._store is None:
            return False
        try:
            # For as long as the Dag run, with which Airflow deletes it: a run may be cleared at any time.
            from airflow.sdk.execution_time.context import NEVER_EXPIRE

            self._store.set(key, value, retention=NEVER_EXPIRE)
        except Exception as e:
            self._give_up("written", e)
            return False
        return True

    def _give_up(self, what: str, error: Exception) -> None:
        # Not written to after a failed read, either: an older record is worth more than one without its history.
        self._store = None
        self._log.warning(
            "The task state store cannot be %s, so that %s: %s: %s",
            what,
            self._without,
            type(error).__name__,
            plain_text(str(error)),
        )
