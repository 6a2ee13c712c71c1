"""What a task remembers of its attempts across tries: on Airflow 3.3+, in the task state store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.rules.keys import digest, person
from airflow_provider_revor.rules.sending import Attempt
from airflow_provider_revor.tasks.state import StateStore

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.version_compat import Log


def attempt_store(context: Context, log: Log) -> StateStore:
    """
    Return the task state store, for the records of attempts.

    :param context: The task's context.
    :param log: Where a store that cannot be used is reported.
    """
    return StateStore(context, log, "only Revor's memory of idempotency keys keeps this task from sending twice")


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
        self._store = attempt_store(context, log)
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
