"""The part of a sensor that tells people that it waits: in its log, and by callbacks."""

from __future__ import annotations

import time
from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.tasks.alerts import NotifiesPeople
from airflow_provider_revor.tasks.progress import WaitLog
from airflow_provider_revor.tasks.state import StateStore

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
        self._store.write(_TOLD_AT, time.time())
        return float(max(rest, self.poke_interval))

    def _was_done(self, since: float, late: float) -> bool:
        """
        Return whether an earlier process of this wait has told people, as far as that can be known.

        :param since: When the wait began, in seconds since the epoch: the store remembers earlier waits, too.
        :param late: For how many seconds telling people has been due.
        """
        store = self._store
        told_at = store.read(_TOLD_AT, lambda value: value if isinstance(value, int | float) else None)
        if store.usable:
            return told_at is not None and told_at >= since
        return late >= float(self.poke_interval)

    @property
    def _store(self) -> StateStore:
        return StateStore(self._context or {}, self.log, "people may be told again")
