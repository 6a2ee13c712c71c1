"""What all triggers have: their arguments as attributes, and a log that never holds up the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.version_compat import TRIGGERS_LOG_TO_SUPERVISOR

if TYPE_CHECKING:
    from airflow_provider_revor.version_compat import Log

# One thread, so that lines stay in order.
_thread = ThreadPoolExecutor(1, thread_name_prefix="revor-log")


class ThreadLog:
    """
    A logger that writes in a thread.

    Triggers of Airflow 3 log into a socket, which their supervisor reads in turn with their requests. With thousands of
    lines at a time it is full, and whoever writes waits. If that is the event loop, nobody reads the supervisor's
    responses meanwhile; and if there is no room for these, either, the supervisor waits, too: for ever.

    :param log: The trigger's own logger.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def info(self, msg: str, *args: object) -> None:
        """Log what happens."""
        _thread.submit(self._write, copy_context().run, self._log.info, msg, *args)

    def warning(self, msg: str, *args: object) -> None:
        """Log what should not happen."""
        _thread.submit(self._write, copy_context().run, self._log.warning, msg, *args)

    async def written(self) -> None:
        """Return once everything is written that was logged so far."""
        await asyncio.wrap_future(_thread.submit(int))

    @staticmethod
    def _write(run: Any, *call: Any) -> None:
        # A method of ours, because the line in the log says which file it was called in.
        run(*call)


class TriggerPart:
    """A part of a trigger that keeps each argument of its constructor as the attribute of the same name."""

    if TYPE_CHECKING:
        task: Any
        task_instance: Any

    @property
    def path(self) -> str:
        """Where Airflow finds the class."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments to make this trigger again: plain, without any secret."""
        return self.path, {name: getattr(self, name) for name in signature(type(self)).parameters}

    @property
    def log(self) -> Any:
        """The trigger's logger."""
        log = super().log  # type: ignore[misc]
        return ThreadLog(log) if TRIGGERS_LOG_TO_SUPERVISOR and self._in_a_triggerer else log

    async def logged(self) -> None:
        """Return once everything is written that this trigger logged: when it has ended, Airflow closes its log."""
        if isinstance(log := self.log, ThreadLog):
            await log.written()

    @property
    def _in_a_triggerer(self) -> bool:
        # `airflow dags test` gives a trigger no id.
        return getattr(self, "trigger_id", None) is not None
