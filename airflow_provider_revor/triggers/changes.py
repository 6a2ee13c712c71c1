"""Which accounts could send at the last look, and what has changed since. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from airflow_provider_revor.api.accounts import ConnectAccount

Becomes = Literal["sendable", "blocked"]


class Changes:
    """
    Find the changes from look to look.

    An account that is missing from one list counts as it did before: only when it is missing from the next one, too,
    it is gone. One list that Revor leaves empty by mistake is no news.

    :param becomes: Which changes: ``sendable``, no account could send and now one can; or ``blocked``, one that could
        no longer can.
    :param sendable: The ids of the accounts that could send at the last look; None if that is not known.
    """

    def __init__(self, becomes: Becomes, sendable: list[str] | None) -> None:
        self._becomes = becomes
        self._missing: set[str] = set()
        self.sendable = sendable

    def since(self, accounts: Sequence[ConnectAccount]) -> Iterator[dict[str, Any]]:
        """
        Yield the payload of an event for each change.

        With each one, ``sendable`` is what is to be remembered once that event is safe.

        :param accounts: All accounts that are watched.
        """
        known = {account.account_id: account for account in accounts}
        before = self.sendable or []
        missing = {account_id for account_id in before if account_id not in known}
        doubted, self._missing = missing - self._missing, missing
        now = [account.account_id for account in accounts if account.sendable]
        now += [account_id for account_id in before if account_id in doubted]
        if self.sendable is not None and self._becomes == "blocked":
            still = set(now)
            for account_id in before:
                if account_id not in still:
                    self.sendable = [other for other in self.sendable if other != account_id]
                    yield _blocked(account_id, known.get(account_id))
        news = self.sendable is not None and self._becomes == "sendable" and not before
        self.sendable = now
        if news and now:
            yield known[now[0]].as_dict()


def _blocked(account_id: str, account: ConnectAccount | None) -> dict[str, Any]:
    if account is None:
        return {"account_id": account_id, "blocked_reason": "it is not connected any more"}
    return {**account.as_dict(), "blocked_reason": account.blocked_reason}
