"""Waiting on a worker until an outreach job has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_provider_revor.exceptions import RevorError, RevorTransientError
from airflow_provider_revor.rules.pauses import Misses, job_pause

if TYPE_CHECKING:
    from airflow_provider_revor.api.jobs import OutreachJob
    from airflow_provider_revor.progress import WaitLog


def until_ended(
    job: OutreachJob, look: Callable[[], OutreachJob], *, poke_interval: float, deadline: float, log: WaitLog
) -> OutreachJob | None:
    """
    Poll a job until it has ended; None if it has not by the deadline.

    :param job: How it stands now.
    :param look: Returns how it stands.
    :param poke_interval: The least seconds between two looks.
    :param deadline: When to give up, in seconds since the epoch.
    :param log: The log of the wait.
    :raises RevorError: for what waiting cannot heal.
    """
    misses = Misses()
    poll: OutreachJob | Exception = job
    while (left := deadline - time.time()) > 0:
        pause = min(job_pause(poll, poke_interval, time.time()), left)
        log.pausing(pause, deadline)
        time.sleep(pause)
        try:
            poll = look()
        except RevorError as e:
            poll = e
            if not misses.bears_with(e, time.monotonic()) and not isinstance(e, RevorTransientError):
                raise
            log.trouble(e)
            continue
        misses.bears_with(poll, time.monotonic())
        if poll.ended:
            return poll
        log.waiting(poll.standing)
    return None
