"""Tells people that a task has waited long, by callbacks and notifiers of the Dag author's."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.rules.pauses import seconds
from airflow_provider_revor.tasks.progress import clock_time, in_words

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow_provider_revor.typing import Callbacks
    from airflow_provider_revor.version_compat import Log

#: The name in the context under which callbacks, and the templates of notifiers, find what is known of the wait.
CONTEXT_KEY = "revor_wait"


class NotifiesPeople:
    """
    The part of a task that tells people, once, that it waits; its arguments are described there.

    On a worker it tells them between two looks. A deferred task resumes for it, and defers again.
    """

    # Templated: another task's output until it is rendered.
    revor_conn_id: Any
    notify_after: float | None
    on_waiting_callback: Callbacks | None

    _has_notified = False

    if TYPE_CHECKING:

        @property
        def log(self) -> Any:
            """The task's log."""

    @property
    @abstractmethod
    def _unmet(self) -> str:
        """What has not happened, as in "No email account could send within 60 s"."""

    def _notify_after(
        self, after: timedelta | float | None, callbacks: Callbacks | None, default_args: Mapping[str, Any] | None
    ) -> None:
        """
        Take the arguments.

        :param after: After how long to tell people; None for never.
        :param callbacks: What tells them.
        :param default_args: The Dag's default arguments; callbacks among them are for tasks with ``notify_after``.
        :raises RevorValueError: (a ValueError) if one of them cannot be used.
        """
        self.notify_after = None if after is None else seconds(after, "notify_after")
        self.on_waiting_callback = callbacks
        check_callbacks(callbacks)
        if after is not None and not as_list(callbacks):
            raise RevorValueError("notify_after takes an on_waiting_callback: a callable or a notifier, or several.")
        if after is None and callbacks and callbacks is not (default_args or {}).get("on_waiting_callback"):
            raise RevorValueError("on_waiting_callback takes notify_after, too: without it, nobody is told.")

    def _notify_while_pausing(
        self, context: Any, waited: float, pause: float, reasons: Sequence[str], until: float
    ) -> float:
        """
        Tell people if that is due within a pause, at its time, and return the rest of the pause.

        :param context: The task's context.
        :param waited: For how many seconds the task has waited.
        :param pause: Seconds until the next look.
        :param reasons: Why it waits, by the latest look.
        :param until: When it gives up, in seconds since the epoch.
        """
        if self.notify_after is None or self._has_notified or self.notify_after - waited > pause:
            return pause
        due_in = max(self.notify_after - waited, 0)
        time.sleep(due_in)
        self._notify(context, reasons, until)
        return max(pause - due_in, 0)

    def _notify_at(self, context: Any, waited: float, reasons: Sequence[str], until: float) -> float | None:
        """
        Return when a trigger must resume the task to tell people, in seconds since the epoch; None for never.

        If that is over, they are told at once.

        :param context: The task's context.
        :param waited: For how many seconds the task has waited.
        :param reasons: Why it waits, by the latest look.
        :param until: When it gives up, in seconds since the epoch.
        """
        if self.notify_after is None:
            return None
        if waited < self.notify_after:
            return time.time() + self.notify_after - waited
        self._notify(context, reasons, until)
        return None

    def _notify(self, context: Any, reasons: Sequence[str], until: float | None) -> None:
        """
        Tell people that this task waits.

        :param context: The task's context.
        :param reasons: Why, by the latest look.
        :param until: When it gives up, in seconds since the epoch; None for never.
        """
        self._has_notified = True
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


def describe_wait(
    ti: Any, *, waited: float, until: float | None, unmet: str, conn_id: str, reasons: Sequence[str]
) -> dict[str, Any]:
    """
    Return what people are told of a wait, without personal data.

    :param ti: The task instance that waits.
    :param waited: For how many seconds it has waited.
    :param until: When it gives up, in seconds since the epoch; None for never.
    :param unmet: What has not happened yet, such as "No email account could send".
    :param conn_id: The Airflow connection.
    :param reasons: Why, by the latest poll: sentences.
    :return: ``message``, all of it in one text; and its parts: ``waited`` and ``until`` in words, ``reasons``, and
        ``links`` to the ``accounts`` and, where Airflow knows it, the task's ``log``.
    """
    links = {"accounts": CONNECT_ACCOUNTS_URL}
    if log_url := getattr(ti, "log_url", None):
        links["log"] = str(log_url)
    told = {"waited": in_words(waited), "until": until and clock_time(until), "reasons": list(reasons), "links": links}
    who = f"Task {getattr(ti, 'task_id', '?')} of Dag {getattr(ti, 'dag_id', '?')}"
    lines = [
        f"{who} has waited for {told['waited']}. {unmet} on connection {conn_id!r}.",
        *reasons,
        f"It waits until {told['until']}." if until else "It goes on waiting.",
        *(f"{name.capitalize()}: {url}" for name, url in links.items()),
    ]
    return {"message": "\n".join(lines), **told}


def call_each(callbacks: Callbacks | None, context: Any, log: Log) -> None:
    """
    Call callbacks as Airflow calls its own: one that fails is logged, and stops neither the others nor the task.

    :param callbacks: A callable or a notifier, or several.
    :param context: The context that each is called with.
    :param log: The task's log.
    """
    for callback in as_list(callbacks):
        name = getattr(callback, "__name__", type(callback).__name__)
        try:
            callback(context)
        except Exception:
            log.exception("The callback %s failed; the task waits on.", name)


def check_callbacks(callbacks: Any) -> None:
    """
    Check what tells people.

    :param callbacks: A callable or a notifier, or several; None for none.
    :raises RevorValueError: (a ValueError) if one of them cannot be called, or would have to be awaited.
    """
    for callback in as_list(callbacks):
        if not callable(callback):
            raise RevorValueError(
                f"on_waiting_callback has a {type(callback).__name__}: use a callable or a notifier, or several."
            )
        if iscoroutinefunction(callback) or iscoroutinefunction(getattr(callback, "__call__", None)):  # noqa: B004
            raise RevorValueError("on_waiting_callback is async, and nothing would await it: use a plain function.")


def as_list(callbacks: Any) -> Collection[Any]:
    """
    Return callbacks as Airflow takes them: one, several or none.

    :param callbacks: A callable or a notifier, or several; None for none.
    """
    if callbacks is None:
        return ()
    several = isinstance(callbacks, Collection) and not isinstance(callbacks, str) and not callable(callbacks)
    return callbacks if several else [callbacks]
