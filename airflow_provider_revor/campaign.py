"""The ledger of a campaign: who was written to in it, by which job, and what became of that. For Airflow 3.3+."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from airflow_provider_revor.rules.campaign import (
    LIKES,
    MESSAGES,
    SHARDS,
    Entry,
    campaign_name,
    pack_shard,
    shard_key,
    shard_of,
    unpack_shard,
)
from airflow_provider_revor.rules.exclusion import digests_of, person_digest

__all__ = ["CAMPAIGNS", "LIKES", "MESSAGES", "CampaignLedger", "Entry", "person_digest"]

#: The name of the asset whose state store holds the ledgers of campaigns that are given by name.
CAMPAIGNS = "revor_campaigns"

# How often what was entered is written, if others drop it each time.
_MOST_ROUNDS = 3


class Store(Protocol):
    """An asset's state store, as ``context["asset_state_store"][asset]`` has it."""

    def get(self, key: str) -> Any:
        """Return a value; None if there is none."""

    def set(self, key: str, value: Any) -> None:
        """Write a value."""


class CampaignLedger:
    """
    The ledger of a campaign, kept in the state store of its asset.

    A task that reads it needs the asset among its inlets: the campaign's own, or for a campaign that is given by name
    ``Asset("revor_campaigns")``::

        @task(inlets=[SPRING])
        def plan(people, asset_state_store=None):
            ledger = CampaignLedger(asset_state_store[SPRING], SPRING)
            new = [person for person in people if person not in ledger]

    It holds digests of people, ids of jobs, times and error codes: no addresses.

    :param store: The asset's state store.
    :param campaign: The campaign's name, or its ``Asset``.
    :param kind: Which ledger: :data:`MESSAGES`, or :data:`LIKES` for posts that were liked. Default: messages.
    :param on_error: Called with what failed and the error if the store cannot be used: then the ledger is empty and
        writes nothing. Default: None, the error is raised.
    :raises RevorValueError: (a ValueError) if the campaign has no name.
    """

    def __init__(
        self,
        store: Store,
        campaign: Any,
        *,
        kind: str = MESSAGES,
        on_error: Callable[[str, Exception], None] | None = None,
    ) -> None:
        self._store: Store | None = store
        self._name = campaign_name(campaign)
        self._kind = kind
        self._on_error = on_error
        self._shards: dict[int, dict[str, Entry]] = {}
        self._changed: dict[str, Entry] = {}
        #: What was written by this object.
        self._written: dict[str, Entry] = {}

    def __contains__(self, person: Mapping[str, Any] | str) -> bool:
        """
        Return whether somebody was written to, on any channel, and not struck since.

        :param person: A dict with one or several of ``address``, ``profile_url`` and ``phone``; or one of them, or what
            :func:`person_digest` returned.
        """
        return any(not entry.struck for _, entry in self.entries_of(person))

    def entries_of(self, person: Mapping[str, Any] | str) -> list[tuple[str, Entry]]:
        """
        Return what the ledger says of somebody: a pair of digest and entry for each channel.

        :param person: As for ``in``.
        """
        found = ((who, self.find(who)) for who in digests_of(person))
        return [(who, entry) for who, entry in found if entry is not None]

    def find(self, who: str) -> Entry | None:
        """
        Return what the ledger says of somebody; None if it says nothing.

        :param who: What :func:`person_digest` returned.
        """
        number = shard_of(who)
        if number not in self._shards:
            self._shards[number] = self._read(number)
        return self._shards[number].get(who)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Yield the digest of each person in the ledger, and what it says of them: 256 requests to Airflow."""
        for number in range(SHARDS):
            self._shards[number] = self._read(number)
            yield from sorted(self._shards[number].items())

    def strike(self, person: Mapping[str, Any] | str) -> bool:
        """
        Strike somebody, so that the campaign may write to them once more.

        :param person: As for ``in``.
        :return: Whether they were in the ledger.
        """
        entries = [(who, entry) for who, entry in self.entries_of(person) if not entry.struck]
        for who, entry in entries:
            self.note(who, Entry(entry.attempt, None, int(time.time())))
        self.save()
        return bool(entries)

    def note(self, who: str, entry: Entry) -> None:
        """
        Enter what became of a message; :meth:`save` writes it.

        :param who: What :func:`person_digest` returned.
        :param entry: What to enter.
        """
        self._changed[who] = entry

    def save(self, *, check: bool = True) -> dict[str, Entry]:
        """
        Write what was entered.

        Others may have written meanwhile, so each value is read again first and only what is newer is replaced.

        :param check: Whether to read each value once more afterwards: another task that read it before it was written
            and wrote it later has dropped what was entered, which is then written again. Default: True.
        :return: The entries of others that stay: of the same job, or of a later attempt.
        """
        taken: dict[str, Entry] = {}
        rounds = _MOST_ROUNDS if check else 1
        while self._changed and rounds:
            rounds -= 1
            changed, self._changed = self._changed, {}
            for number, changes in _by_shard(changed).items():
                taken.update(self._save(number, changes))
            if check:
                self._changed = self._dropped()
        return taken

    def _save(self, number: int, changes: Mapping[str, Entry]) -> dict[str, Entry]:
        kept = self._read(number)
        mine = {who: entry for who, entry in changes.items() if not _stays(kept.get(who), entry)}
        if any(kept.get(who) != entry for who, entry in mine.items()):
            self._write(number, {**kept, **mine})
        self._written.update(mine)
        # A store that has failed meanwhile returned none: what was read before is still known.
        known = kept if self._store is not None else self._shards.get(number, {})
        self._shards[number] = {**known, **mine}
        return {who: kept[who] for who in changes.keys() - mine.keys()}

    def _dropped(self) -> dict[str, Entry]:
        """Return what was written, and is not there any more."""
        dropped: dict[str, Entry] = {}
        for number, written in _by_shard(self._written).items():
            kept = self._read(number)
            if self._store is None:
                return {}
            dropped.update({who: entry for who, entry in written.items() if _is_older(kept.get(who), entry)})
        return dropped

    def _read(self, number: int) -> dict[str, Entry]:
        if self._store is None:
            return {}
        try:
            return unpack_shard(self._store.get(shard_key(self._name, self._kind, number)))
        # Whatever a store and its backend raise: sending must not depend on it.
        except Exception as e:
            self._give_up("read", e)
            return {}

    def _write(self, number: int, entries: Mapping[str, Entry]) -> None:
        if self._store is None:
            return
        try:
            self._store.set(shard_key(self._name, self._kind, number), pack_shard(entries))
        except Exception as e:
            self._give_up("written", e)

    def _give_up(self, what: str, error: Exception) -> None:
        if self._on_error is None:
            raise error
        # Not written to after a failed read, either: that would drop the entries that were not read.
        self._store = None
        self._on_error(what, error)


def _stays(kept: Entry | None, entry: Entry) -> bool:
    """Return whether an entry in the ledger is not replaced."""
    if kept is None or kept.attempt < entry.attempt or (entry.struck and kept.attempt == entry.attempt):
        return False
    if kept.struck or kept.attempt > entry.attempt:
        return True
    # The same attempt, so the same key: whoever entered it first sent it.
    return kept.by not in ("", entry.by)


def _is_older(kept: Entry | None, entry: Entry) -> bool:
    """Return whether an entry in the ledger is from before another was written."""
    if kept is None or kept.attempt != entry.attempt:
        return kept is None or kept.attempt < entry.attempt
    if entry.struck:
        return not kept.struck
    same = (kept.job_id, kept.by) == (entry.job_id, entry.by)
    return same and kept.end is None and entry.end is not None


def _by_shard(entries: Mapping[str, Entry]) -> dict[int, dict[str, Entry]]:
    by_shard: dict[int, dict[str, Entry]] = {}
    for who, entry in entries.items():
        by_shard.setdefault(shard_of(who), {})[who] = entry
    return by_shard
