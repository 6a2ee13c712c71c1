"""What a task remembers of its attempts across tries: on Airflow 3.3+, in the task state store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_revor.api.answers import plain_text
from airflow_provider_revor.rules.keys import digest, person
from airflow_provider_revor.rules.sending import Attempt

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.version_compat import Log

T = TypeVar("T")


class AttemptStore:
    """
    The task state store, as far as there is one and it can be reached.

    :param context: The task's context.
    :param log: Where a store that cannot be used is reported.
    """

    def __init__(self, context: Context, log: Log) -> None:
        self._store: Any = context.get("task_state_store")
        self._log = log

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
        # Whatever a store and its backend raise: sending must not depend on it.
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
            "The task state store cannot be %s, so that only Revor's memory of idempotency keys keeps this task from "
            "sending twice: %s: %s",
            what,
            type(error).__name__,
            plain_text(str(error)),
        )


class AttemptMemory:
    """
    The record of the latest attempt to reach one person.

    It belongs to the task instance and survives retries and clears. A mapped list that was generated again leaves
    behind a record of another person: it has another name, and so is not found.

    Without a store (below Airflow 3.3), or where it cannot be reached, nothing is remembered: idempotency keys alone
    then decide.

    :param context: The task's context.
    :param name: A digest of the person.
    :param log: Where a store that cannot be used is reported.
    """

    def __init__(self, context: Context, name: str, log: Log) -> None:
        self._store = AttemptStore(context, log)
        self._key = f"airflow_provider_revor.attempt.{name}"
        self._kept: Attempt | None = None

    @classmethod
    def of_person(cls, recipient: Mapping[str, Any], context: Context, log: Log) -> AttemptMemory:
        """
        Return the record of a task's attempts to reach somebody.

        :param recipient: The person.
        :param context: The task's context.
        :param log: Where a store that cannot be used is reported.
        """
        ti = context["ti"]
        return cls(context, digest("attempt", ti.dag_id, ti.run_id, ti.task_id, person(recipient)), log)

    def recall(self) -> Attempt | None:
        """Return the latest attempt that was recorded; None if there is none."""
        self._kept = self._store.read(self._key, Attempt.from_dict)
        return self._kept

    def keep_job(self) -> None:
        """Record that the task has ended by itself: no later try cancels its job because it was cleared."""
        if (recorded := self.recall()) and recorded.cancels_since is not None:
            self.keep(replace(recorded, cancels_since=None))

    def keep(self, attempt: Attempt) -> None:
        """
        Record an attempt.

        :param attempt: The latest one.
        """
        if attempt != self._kept and self._store.write(self._key, attempt.as_dict()):
            self._kept = attempt
