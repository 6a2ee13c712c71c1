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

        In ``reschedule`` mode the next process does not know what this one did. So this one stays until then, and
        the next one begins too late to do it again; a process that begins a little late makes up for the one before.

        :param waited: Seconds since the first look.
        :param pause: Seconds until the next look.
        """
        due_in = (self.notify_after or 0) - waited
        if self.reschedule and due_in <= -self.poke_interval:
            return pause
        until = time.time() + max(self.timeout - waited, 0)
        rest = self._notify_while_pausing(self._context, waited, pause, self._wait_log.reasons, until)
        return max(rest, self.poke_interval) if self.reschedule and self._has_notified else rest
