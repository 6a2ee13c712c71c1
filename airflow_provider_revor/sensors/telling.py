"""The part of a sensor that tells people that it waits: in its log, and by callbacks."""

from __future__ import annotations

import time
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.tasks.alerts import NotifiesPeople
from airflow_provider_revor.tasks.progress import WaitLog

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Where the task state store has when people were told, in seconds since the epoch.
_TOLD_AT = "airflow_provider_revor.told_at"


class TellsPeople(NotifiesPeople):
    """The part of a sensor that tells people that it waits; its arguments are described there."""

    # Templated: another task's output until it is rendered.
    poke_interval: Any
    timeout: Any
    log_every: float

    _context: Context | None = None

    if TYPE_CHECKING:

        @property
        def reschedule(self) -> bool:
            """Whether to release the worker between two looks."""

    @property
    @abstractmethod
    def _question(self) -> str:
        """What each poll asks, as in "Could not learn which accounts can send"."""

    @cached_property
    def _wait_log(self) -> WaitLog:
        return WaitLog(self.log, self._question, every=self.log_every)

    def _notify_in_time(self, waited: float, pause: float) -> float:
        """
        Tell people if that is due before the next look, and return the rest of the pause.

        In ``reschedule`` mode the process whose next look comes later stays until then. Those after it know from the
        task state store that it was done (Airflow 3.3+). Without one, they begin too late to do it again: a process
        that begins a little late makes up for the one before, and one that begins very late does not.

        :param waited: Seconds since the first look.
        :param pause: Seconds until the next look.
        """
        late = waited - (self.notify_after or 0)
        if self.reschedule and late > 0 and self._was_done(since=time.time() - waited, late=late):
            return pause
        until = time.time() + max(self.timeout - waited, 0)
        rest = self._notify_while_pausing(self._context, waited, pause, self._wait_log.reasons, until)
        if not (self.reschedule and self._has_notified):
            return rest
        self._note_that_it_is_done()
        return float(max(rest, self.poke_interval))

    def _was_done(self, since: float, late: float) -> bool:
        """
        Return whether an earlier process of this wait has told people, as far as that can be known.

        :param since: When the wait began, in seconds since the epoch: the store remembers earlier waits, too.
        :param late: For how many seconds telling people has been due.
        """
        if (store := self._store) is not None:
            try:
                told_at = store.get(_TOLD_AT)
            # Whatever a store and its backend raise.
            except Exception as e:
                self.log.warning("The task state store cannot be read: %s: %s", type(e).__name__, e)
            else:
                return isinstance(told_at, int | float) and told_at >= since
        return late >= float(self.poke_interval)

    def _note_that_it_is_done(self) -> None:
        if (store := self._store) is None:
            return
        try:
            from airflow.sdk.execution_time.context import NEVER_EXPIRE

            store.set(_TOLD_AT, time.time(), retention=NEVER_EXPIRE)
        except Exception as e:
            self.log.warning(
                "The task state store cannot be written, so people may be told again: %s: %s", type(e).__name__, e
            )

    @property
    def _store(self) -> Any:
        """Airflow's store of what a task remembers; None below Airflow 3.3."""
        context: Any = self._context or {}
        return context.get("task_state_store")
