"""What a watcher remembers across a restart of the triggerer, in its asset's state store (Airflow 3.3+)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_revor.version_compat import Log


class WatcherMemory:
    """
    Keep which accounts could send, and until when Revor asks to stay away.

    :param store: Airflow's state store for the asset; None where there is none.
    :param watched: What tells this watcher from others of the same asset.
    :param log: Where it is logged that nothing can be kept.
    """

    def __init__(self, store: Any, watched: list[str | None], log: Log) -> None:
        digest = hashlib.sha256(json.dumps(watched).encode()).hexdigest()[:16]
        self._store = store
        self._sendable_key = f"airflow_provider_revor.{digest}"
        self._not_before_key = f"{self._sendable_key}.not_before"
        self._log = log

    async def recall(self) -> tuple[list[str] | None, float]:
        """Return the ids of the accounts that could send, None if not known; and until when to stay away."""
        if not self._store:
            return None, 0.0
        try:
            # However long it takes: a triggerer that has just started may need many seconds.
            sendable = await self._store.aget(self._sendable_key)
            not_before = float(await self._store.aget(self._not_before_key) or 0)
        except Exception as e:
            self._forgetful(e)
            return None, 0.0
        return sendable if isinstance(sendable, list) else None, not_before

    async def sendable(self, account_ids: list[str] | None) -> None:
        """Remember the ids of the accounts that can send."""
        await self._set(self._sendable_key, account_ids)

    async def not_before(self, moment: float) -> None:
        """Remember until when to stay away, in seconds since the epoch."""
        await self._set(self._not_before_key, moment)

    async def _set(self, key: str, value: Any) -> None:
        try:
            if self._store:
                await self._store.aset(key, value)
        except Exception as e:
            self._forgetful(e)

    def _forgetful(self, error: Exception) -> None:
        # Several assets with the very same watcher share one trigger, whose state has no single place.
        self._log.warning("What this watcher saw last is not kept across a restart: %s", error)
