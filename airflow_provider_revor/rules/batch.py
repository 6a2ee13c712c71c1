"""When each job of a batch is polled, and a compact record of those that have ended."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.rules.outcomes import JOB_UNKNOWN, Row, job_code

# Seconds. The pauses between two looks at one job grow up to this.
LONGEST_POKE = 3600.0


class End(NamedTuple):
    """
    How a job ended.

    :param status: ``succeeded``, ``failed`` or ``cancelled``; or ``job_unknown``.
    :param code: Why it failed.
    :param retry_may_help: Whether a retry of the task may send again.
    """

    status: str
    code: str | None = None
    retry_may_help: bool = False

    @property
    def known(self) -> bool:
        """Whether Revor said so. A job that is not known may have succeeded: that is no reason to send again."""
        return self.status != JOB_UNKNOWN

    @classmethod
    def of(cls, job: OutreachJob) -> End:
        """
        Return the end of a job.

        :param job: A job that has ended.
        """
        return cls(job.status, job_code(job), job.retry_may_help)

    @classmethod
    def of_row(cls, row: Row) -> End:
        """
        Return the end of a message's job.

        :param row: The row of a message whose job has ended.
        """
        return cls(row.status, row.code, row.retry_may_help)

    def as_job(self, job_id: str) -> OutreachJob:
        """
        Return a job that has ended so.

        :param job_id: The job.
        """
        error = {"code": self.code, "retryable": self.retry_may_help} if self.status != "succeeded" else None
        return OutreachJob(job_id, self.status, error=error)

    def in_row(self, row: Row) -> Row:
        """
        Return the row of a message whose job has ended so.

        :param row: The row as it was before.
        """
        return replace(row, status=self.status, code=self.code, retry_may_help=self.retry_may_help)


def pack(ends: Mapping[int, End]) -> list[list[Any]]:
    """
    Return ends as short plain JSON: for each end, the positions that have it as in ``0-239,245``.

    :param ends: Ends by position.
    """
    packed = []
    for end in sorted(set(ends.values()), key=str):
        positions = sorted(position for position, one in ends.items() if one == end)
        packed.append([*end, ",".join(_ranges(positions))])
    return packed


def unpack(packed: Iterable[Any] | None) -> dict[int, End]:
    """
    Return the ends that :func:`pack` wrote.

    :param packed: Plain JSON; None for none.
    """
    ends = {}
    for status, code, retry_may_help, positions in packed or ():
        for part in positions.split(","):
            first, _, last = part.partition("-")
            ends.update(
                dict.fromkeys(range(int(first), int(last or first) + 1), End(status, code, bool(retry_may_help)))
            )
    return ends


class Queue:
    """
    When each job of a batch is polled: some time after it may begin, then after growing pauses.

    :param poke_interval: Seconds from when a job may begin, or from now, to the first look, and from the first to the
        second; each further pause is twice as long, up to an hour.
    """

    def __init__(self, poke_interval: float) -> None:
        self._poke_interval = poke_interval
        self._due: list[tuple[float, int]] = []
        self._looks: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    @property
    def next_due(self) -> float:
        """When the next job is due, in seconds since the epoch; there must be one."""
        return self._due[0][0]

    def add(self, position: int, begins_at: float | None, now: float) -> None:
        """
        Add a job that was not polled yet.

        :param position: Its place in the batch.
        :param begins_at: When it may begin, in seconds since this machine's epoch; None if it is not known.
        :param now: The time, in seconds since the epoch.
        """
        heapq.heappush(self._due, (max(begins_at or now, now) + self._poke_interval, position))

    def pop(self) -> int:
        """Take the job that is due next."""
        return heapq.heappop(self._due)[1]

    def again(self, position: int, job: OutreachJob, now: float) -> None:
        """
        Put back a job that has not ended.

        :param position: Its place in the batch.
        :param job: How it stands.
        :param now: The time, in seconds since the epoch.
        """
        if (begins_at := job.begins_at) and begins_at > now:
            # It cannot end before it begins.
            self.add(position, begins_at, now)
            return
        looks = self._looks[position] = self._looks.get(position, 0) + 1
        # The exponent is limited, because floats overflow.
        pause = min(self._poke_interval * 2 ** min(looks - 1, 30), max(LONGEST_POKE, self._poke_interval))
        heapq.heappush(self._due, (now + pause, position))

    def postpone(self, position: int, until: float) -> None:
        """
        Put back a job whose poll failed.

        :param position: Its place in the batch.
        :param until: When to look again, in seconds since the epoch.
        """
        heapq.heappush(self._due, (until, position))


def _ranges(positions: list[int]) -> Iterator[str]:
    for _, group in groupby(enumerate(positions), lambda pair: pair[1] - pair[0]):
        numbers = [position for _, position in group]
        yield str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
