"""Tells people that a task has waited long, by callbacks and notifiers of the Dag author's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.progress import clock_time, in_words

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_provider_revor.typing import Callbacks
    from airflow_provider_revor.version_compat import Log

#: The name in the context under which callbacks, and the templates of notifiers, find what is known of the wait.
CONTEXT_KEY = "revor_wait"


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


def as_list(callbacks: Callbacks | None) -> Collection[Any]:
    """
    Return callbacks as Airflow takes them: one, several or none.

    :param callbacks: A callable or a notifier, or several; None for none.
    """
    return [callbacks] if callable(callbacks) else list(callbacks or ())
