"""
Looks at the accounts of a connection, shared by all that wait for them in an event loop.

Airflow's shared stream shows a trigger that joins nothing before the next poll, which may be long after the trigger's
timeout. So the latest look is kept for as long as it counts, and a trigger that joins begins with it, or with a look of
its own that all who join share.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_revor.exceptions import RevorTransientError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.threads import in_thread
from airflow_provider_revor.rules.gate import Snapshot
from airflow_provider_revor.rules.pauses import LONGEST_PAUSE, MIN_POKE_INTERVAL, retry_after, spread
from airflow_provider_revor.triggers.loops import PerLoop

if TYPE_CHECKING:
    from airflow_provider_revor.api.accounts import ConnectAccount
    from airflow_provider_revor.hooks.settings import Settings

# What a look shows: the whole list, or why it could not be had.
Poll = list["ConnectAccount"] | Exception

# Several triggerers look at one connection.
_JITTER = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """
    One look.

    :param poll: What it showed.
    :param at: When, by the event loop's clock.
    :param reader: A digest of the host and the key that it was made with; None if that is not known.
    """

    poll: Poll
    at: float
    reader: bytes | None


class Looks:
    """
    The looks at one connection with one interval, at most one per interval, and none before a Retry-After is over.

    :param revor_conn_id: The Airflow connection.
    :param poke_interval: The least seconds between two looks.
    """

    def __init__(self, revor_conn_id: str, poke_interval: float) -> None:
        self._revor_conn_id = revor_conn_id
        self._interval = max(poke_interval, MIN_POKE_INTERVAL)
        #: Whoever looks holds it, and whoever waits for it meanwhile shares that look.
        self.lock = asyncio.Lock()
        self._latest: Look | None = None
        # When the latest look was last known to be of the connection as it is.
        self._verified_at = float("-inf")
        # In seconds since the epoch.
        self._not_before = 0.0

    @classmethod
    def of(cls, revor_conn_id: str, poke_interval: float) -> Looks:
        """
        Return the looks that all share in the running event loop.

        :param revor_conn_id: The Airflow connection.
        :param poke_interval: The least seconds between two looks.
        """
        mine = _looks.here
        key = (revor_conn_id, poke_interval)
        if key not in mine:
            mine[key] = cls(*key)
        return mine[key]

    def stay_away(self, until: float) -> None:
        """
        Look no more before a moment, a day ahead at the most.

        :param until: The moment, in seconds since the epoch.
        """
        self._not_before = max(self._not_before, min(until, time.time() + LONGEST_PAUSE))

    async def current(self) -> Poll | None:
        """Return the latest look if it still counts, else look; None while no one may."""
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        async with self.lock:
            latest = self._latest
            if latest and self._verified_at >= arrived:
                return latest.poll
            if latest and self._counts(latest, joining=True):
                if latest.reader in (None, await _reader(self._revor_conn_id)):
                    self._verified_at = loop.time()
                    return latest.poll
            elif time.time() < self._not_before:
                return None
            return (await self._look()).poll

    async def follow(self, first: float) -> AsyncIterator[Poll]:
        """
        Show every look, for ever: one per interval.

        :param first: Seconds until the first one.
        """
        loop = asyncio.get_running_loop()
        wait, seen, obeyed = first, None, 0.0
        while True:
            await asyncio.sleep(wait * spread(_JITTER))
            arrived = loop.time()
            async with self.lock:
                if self._not_before > obeyed:
                    obeyed = self._not_before
                    wait = max(obeyed - time.time(), 0)
                    continue
                latest = self._latest
                if latest and latest is not seen and (latest.at >= arrived or self._counts(latest)):
                    # Someone else has looked.
                    seen, wait = latest, latest.at + self._pause(latest.poll) - loop.time()
                else:
                    seen = await self._look()
                    wait = self._pause(seen.poll)
            yield seen.poll

    async def _look(self) -> Look:
        poll: Poll
        hook = RevorHook.for_polling(self._revor_conn_id)
        try:
            async with hook:
                poll = await hook.alist_connect_accounts()
        except Exception as e:
            poll = e
        else:
            # While nothing changes, what gates have found out about the list stays known.
            before = self._latest.poll if self._latest else None
            poll = before if isinstance(before, Snapshot) and before == poll else Snapshot(poll)
        # Only if the look has read the connection: to read it here would hold up every other trigger.
        reader = _digest(vars(hook).get("settings"))
        loop = asyncio.get_running_loop()
        look = self._latest = Look(poll, loop.time(), reader)
        self._verified_at = look.at
        # It is of no use to anyone after that: a long list must not stay for as long as the triggerer runs.
        loop.call_later(2 * self._pause(poll), self._forget, look)
        return look

    def _forget(self, look: Look) -> None:
        if self._latest is look:
            self._latest = None

    def _counts(self, look: Look, joining: bool = False) -> bool:
        """
        Return whether a look may stand for a new one. What ends a wait is never believed twice.

        Trouble shows no account: to a trigger that joins, it counts only while Revor asks to stay away.
        """
        if not isinstance(look.poll, (list, RevorTransientError)):
            return False
        lasts = self._pause(look.poll)
        if joining and isinstance(look.poll, RevorTransientError):
            lasts = retry_after(look.poll)
        return asyncio.get_running_loop().time() < look.at + lasts

    def _pause(self, poll: Poll) -> float:
        return max(self._interval, retry_after(poll))


_looks: PerLoop[dict[tuple[str, float], Looks]] = PerLoop(dict)


async def _reader(revor_conn_id: str) -> bytes | None:
    """Return the digest of the host and key of a connection; None if it cannot be read, which a look will explain."""
    hook = RevorHook(revor_conn_id)
    try:
        return _digest(await in_thread(lambda: hook.settings))
    except Exception:
        return None


def _digest(settings: Settings | None) -> bytes | None:
    if settings is None:
        return None
    return hashlib.sha256(f"{settings.base_url}\n{settings.api_version}\n{settings.api_key}".encode()).digest()
