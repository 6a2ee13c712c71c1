"""Cancelling a task's jobs from its ``on_kill``, which Airflow calls in the middle of whatever the task does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_revor.rules.kills import Place
from airflow_provider_revor.version_compat import worker_kill_grace

if TYPE_CHECKING:
    from airflow_provider_revor.triggers.xcoms import TaskXComs
    from airflow_provider_revor.version_compat import Log

# Of the seconds that Airflow leaves, what it takes to log what was not reached, and to stop waiting for it.
_TO_LOG, _TO_STOP = 0.8, 0.9


def cancel_from_worker(revor_conn_id: str, job_ids: Iterable[str], task: TaskXComs, log: Log) -> bool:
    """
    Cancel jobs that have not begun, if a person has ended the task.

    :param revor_conn_id: The Airflow connection, of the type ``revor``.
    :param job_ids: The jobs, the most urgent first.
    :param task: The task instance.
    :param log: Where it is logged what became of the jobs.
    :return: Whether a person has ended the task.
    """
    from airflow_provider_revor.triggers.cancelling import Cancelling

    cancelling = Cancelling(revor_conn_id, job_ids, task, Place.WORKER, log)
    grace = worker_kill_grace()
    # In a thread: the task was interrupted, and may hold a lock that asking Airflow takes.
    thread = threading.Thread(target=lambda: asyncio.run(cancelling.run(grace * _TO_LOG)), daemon=True)
    thread.start()
    thread.join(grace * _TO_STOP)
    if thread.is_alive():
        log.warning("Airflow could not be asked in time whether a person has ended the task: its jobs may go on.")
    return cancelling.killed
