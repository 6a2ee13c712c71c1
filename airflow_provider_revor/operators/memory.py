"""What a task remembers of its attempts across tries: on Airflow 3.3+, in the task state store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_revor.api.answers import plain_text
from airflow_provider_revor.rules.sending import Attempt

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.version_compat import Log


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
        self._store: Any = context.get("task_state_store")
        self._key = f"airflow_provider_revor.attempt.{name}"
        self._log = log
        self._kept: Attempt | None = None

    def recall(self) -> Attempt | None:
        """Return the latest attempt that was recorded; None if there is none."""
        if self._store is None:
            return None
        try:
            value = self._store.get(self._key)
            self._kept = Attempt.from_dict(value)
            if value is not None and self._kept is None:
                raise ValueError("The record is not one that this version of the provider writes.")
        # Whatever a store and its backend raise: sending must not depend on it.
        except Exception as e:
            self._give_up("read", e)
        return self._kept

    def keep(self, attempt: Attempt) -> None:
        """
        Record an attempt.

        :param attempt: The latest one.
        """
        if self._store is None or attempt == self._kept:
            return
        try:
            # For as long as the Dag run, with which Airflow deletes it: a run may be cleared at any time.
            from airflow.sdk.execution_time.context import NEVER_EXPIRE

            self._store.set(self._key, attempt.as_dict(), retention=NEVER_EXPIRE)
            self._kept = attempt
        except Exception as e:
            self._give_up("written", e)

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
