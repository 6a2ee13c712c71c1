"""The part of a sensor that tells people that it waits: in its log, and by callbacks."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.alerts import CONTEXT_KEY, call_each, describe_wait
from airflow_provider_revor.progress import WaitLog, in_words

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.typing import Callbacks


class TellsPeople:
    """The part of a sensor that tells people that it waits; its arguments are described there."""

    # Templated: another task's output until it is rendered.
    revor_conn_id: Any
    poke_interval: Any
    timeout: Any
    notify_after: float | None
    on_waiting_callback: Callbacks | None
    log_every: float

    _context: Context | None = None
    _has_notified = False

    if TYPE_CHECKING:

        @property
        def log(self) -> Any:
            """The task's log."""

        @property
        def reschedule(self) -> bool:
            """Whether to release the worker between two looks."""

    @property
    @abstractmethod
    def _question(self) -> str:
        """What each poll asks, as in "Could not learn which accounts can send"."""

    @property
    @abstractmethod
    def _unmet(self) -> str:
        """What has not happened, as in "No email account could send within 60 s"."""

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
        known_to_be_done = self._has_notified or (self.reschedule and due_in <= -self.poke_interval)
        if known_to_be_done or due_in > pause:
            return pause
        time.sleep(max(due_in, 0))
        self._notify(self._wait_log.reasons, time.time() + max(self.timeout - max(waited, self.notify_after or 0), 0))
        rest = max(pause - max(due_in, 0), 0)
        return max(rest, self.poke_interval) if self.reschedule else rest

    def _notify(self, reasons: Sequence[str], until: float | None) -> None:
        """
        Tell people that this task waits.

        :param reasons: Why, by the latest look.
        :param until: When it gives up, in seconds since the epoch; None for never.
        """
        self._has_notified = True
        # Airflow's type knows only Airflow's own names.
        context: Any = self._context
        context[CONTEXT_KEY] = describe_wait(
            context.get("ti"),
            waited=self.notify_after or 0,
            until=until,
            unmet=self._unmet,
            conn_id=str(self.revor_conn_id),
            reasons=reasons,
        )
        self.log.info("It has waited for %s: telling people.", in_words(self.notify_after or 0))
        call_each(self.on_waiting_callback, context, self.log)
