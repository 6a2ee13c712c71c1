"""What a batch remembers of its attempts across tries: on Airflow 3.3+, in the task state store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.operators.memory import attempt_store
from airflow_provider_revor.rules.batch import End
from airflow_provider_revor.rules.sending import Attempt

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.version_compat import Log

# People whose attempts are one value of the store: some 40 kB, below Airflow's 64 kB.
CHUNK = 150


@dataclass
class _Person:
    """The latest attempt to reach one person, how its job ended if that is known, and its chunk."""

    chunk: int
    attempt: Attempt
    end: End | None = None


class BatchMemory:
    """
    The records of the latest attempts to reach many people, kept in chunks: each call of the store is a request.

    New jobs are written together, some at a time. The jobs of those that a crash loses are found by their idempotency
    keys.

    :param context: The task's context.
    :param log: Where a store that cannot be used is reported.
    """

    def __init__(self, context: Context, log: Log) -> None:
        self._store = attempt_store(context, log)
        self._people: dict[str, _Person] = {}
        self._chunks: list[list[str]] = []
        self._changed: set[int] = set()
        self._announced: set[str] = set()
        while chunk := self._store.read(self._key(len(self._chunks)), _read):
            number = len(self._chunks)
            self._chunks.append(list(chunk))
            self._people.update({name: _Person(number, *record) for name, record in chunk.items()})

    def recall(self, name: str) -> Attempt | None:
        """
        Return the latest attempt that was recorded for a person; None if there is none.

        :param name: The digest of the person's idempotency key.
        """
        # What this try has announced says nothing of an earlier one.
        person = None if name in self._announced else self._people.get(name)
        return person.attempt if person else None

    def end_of(self, name: str) -> End | None:
        """
        Return how the job of the latest attempt ended; None if that is not known.

        :param name: The digest of the person's idempotency key.
        """
        person = self._people.get(name)
        return person.end if person else None

    def announce(self, attempts: Iterable[Attempt]) -> None:
        """
        Record the first attempts that are about to be made, and save.

        :param attempts: The attempts; those to people with a record are left out.
        """
        for attempt in attempts:
            if attempt.key not in self._people:
                self._put(attempt)
                self._announced.add(attempt.key)
        self.save()

    def keep(self, attempt: Attempt) -> None:
        """
        Record an attempt; its ``key`` names the person.

        :param attempt: The latest one.
        """
        person = self._people.get(attempt.key)
        if person and (person.attempt == attempt or _leads_to(person.attempt, attempt)):
            return
        self._put(attempt)
        self._announced.discard(attempt.key)
        if attempt.job_id is None:
            # It says which key is used next: that must be known before it is.
            self.save()

    def keep_ends(self, ends: dict[str, End]) -> None:
        """
        Record how jobs ended, as far as that is known, so that no later try has to ask, and save.

        :param ends: The ends by job.
        """
        for person in self._people.values():
            end = ends.get(person.attempt.job_id or "")
            if end and end.known and person.end != end:
                person.end = end
                self._changed.add(person.chunk)
        self.save()

    def keep_jobs(self) -> None:
        """Record that the task has ended by itself: no later try cancels a job because it was cleared. Saves."""
        for person in self._people.values():
            if person.attempt.cancels_since is not None:
                person.attempt = replace(person.attempt, cancels_since=None)
                self._changed.add(person.chunk)
        self.save()

    def save(self) -> None:
        """Write what has changed."""
        for number in sorted(self._changed):
            self._store.write(self._key(number), {name: _written(self._people[name]) for name in self._chunks[number]})
        self._changed.clear()

    def _put(self, attempt: Attempt) -> None:
        name = attempt.key
        person = self._people.get(name)
        if person is None:
            if not self._chunks or len(self._chunks[-1]) >= CHUNK:
                self._chunks.append([])
            self._chunks[-1].append(name)
            person = self._people[name] = _Person(len(self._chunks) - 1, attempt)
        if person.attempt.job_id != attempt.job_id:
            person.end = None
        person.attempt = attempt
        self._changed.add(person.chunk)

    def _key(self, number: int) -> str:
        return f"airflow_provider_revor.attempts.{number}"


class OfOnePerson:
    """The memory of a batch, as the rule of sending uses it for one person."""

    def __init__(self, memory: BatchMemory, name: str) -> None:
        self._memory = memory
        self._name = name

    def recall(self) -> Attempt | None:
        """Return the latest attempt that was recorded; None if there is none."""
        return self._memory.recall(self._name)

    def keep(self, attempt: Attempt) -> None:
        """
        Record an attempt.

        :param attempt: The latest one.
        """
        self._memory.keep(attempt)


def _leads_to(recorded: Attempt, attempt: Attempt) -> bool:
    """Return whether a next try finds the key of an attempt from what is recorded: the attempt before, and its job."""
    return attempt.job_id is None and recorded.job_id is not None and recorded.number == attempt.number - 1


def _written(person: _Person) -> list[Any]:
    attempt = person.attempt
    record = [
        attempt.number,
        attempt.job_id,
        attempt.message,
        attempt.max_tries,
        attempt.version,
        attempt.cancels_since,
    ]
    return [*record, *person.end] if person.end else record


def _read(chunk: Any) -> dict[str, tuple[Attempt, End | None]] | None:
    """Return the attempts and ends in a chunk; None if it is not one that this version wrote."""
    records = {}
    for name, value in chunk.items() if isinstance(chunk, dict) else ():
        match value:
            case [number, job_id, message, max_tries, version, cancels_since, *rest] if len(rest) in (0, 3):
                fields = {"number": number, "job_id": job_id, "message": message, "max_tries": max_tries}
                more = {"version": version, "cancels_since": cancels_since}
                attempt = Attempt.from_dict({**fields, **more, "key": name})
                if attempt:
                    records[name] = attempt, End(*rest) if rest else None
                    continue
        return None
    return records or None
