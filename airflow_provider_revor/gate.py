"""
What a gate waits for, and how it tells of its waiting: the part that the sensor and its trigger share.

Pure: a gate is given the whole list of accounts and filters here, so that every gate of a connection can share
one request, and can say why each account is blocked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_revor.api.accounts import Channel, ConnectAccount, is_nothing, parse_channel
from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.exceptions import RevorValueError

if TYPE_CHECKING:
    from airflow_provider_revor.version_compat import Log

# Seconds; a poke_interval of 0 is allowed by Airflow, and would be a loop without a pause.
MIN_POKE_INTERVAL = 0.1

# Seconds; a Retry-After beyond it is a mistake, which must not put every gate of a connection to sleep for good.
LONGEST_PAUSE = 86_400.0

_MOST_EXPLAINED = 20


@dataclass(frozen=True, slots=True)
class Gate:
    """
    What a gate waits for.

    :param channel: Any account of this channel; None for any channel.
    :param account_id: That very account; None for any.
    :raises RevorValueError: if the channel is none of Revor's.
    """

    channel: Channel | None = None
    account_id: str | None = None

    @classmethod
    def of(cls, channel: str | None, account_id: str | None, any_account: bool = True) -> Gate:
        """
        Return the gate for a channel and an account as a caller or a rendered template names them.

        :param channel: A channel; None, an empty string or ``None`` for any.
        :param account_id: An account's id.
        :param any_account: Whether it may be left out.
        :raises RevorValueError: if the channel is none of Revor's, or an account that was asked for is not named.
        """
        if (account_id is None and not any_account) or (account_id is not None and is_nothing(account_id)):
            raise RevorValueError(
                f"account_id rendered to {account_id!r}: it must name an account. Leave it out to wait for any."
            )
        # A template that renders to native objects makes a number of an id that looks like one.
        return cls(parse_channel(channel), None if account_id is None else str(account_id).strip())

    def candidates(self, accounts: Sequence[ConnectAccount]) -> list[ConnectAccount]:
        """
        Return the accounts that could open the gate, sendable or not, in Revor's order.

        :param accounts: All accounts of the connection.
        :raises RevorValueError: if the account waited for is of another channel: that never changes.
        """
        found = [account for account in accounts if self.account_id in (None, account.account_id)]
        if self.channel is None:
            return found
        if self.account_id is not None and found and found[0].channel != self.channel:
            raise RevorValueError(
                f"Account {self.account_id} is of the channel {found[0].channel}, so it can never send on "
                f"{self.channel}: give the gate that channel, or another account."
            )
        return [account for account in found if account.channel == self.channel]

    def find(self, accounts: Sequence[ConnectAccount]) -> ConnectAccount | None:
        """
        Return the account that opens the gate: the first sendable one, in Revor's order.

        :param accounts: All accounts of the connection.
        :return: The account, or None while the gate stays shut.
        :raises RevorValueError: if the account waited for is of another channel: that never changes.
        """
        return next((account for account in self.candidates(accounts) if account.sendable), None)

    def explain(self, accounts: Sequence[ConnectAccount]) -> str:
        """
        Return why the gate is shut, without personal data.

        :param accounts: All accounts of the connection, none of which opens the gate.
        """
        candidates = self.candidates(accounts)
        kind = f"{self.channel} account" if self.channel else "account"
        if not candidates and self.account_id is None:
            return f"No {kind} is connected at all: connect one at {CONNECT_ACCOUNTS_URL}."
        if not candidates:
            return f"Account {self.account_id} is not connected: connect it at {CONNECT_ACCOUNTS_URL}."
        reasons = [f"{account.account_id}: {account.blocked_reason}" for account in candidates[:_MOST_EXPLAINED]]
        if more := len(candidates) - len(reasons):
            reasons.append(f"and {more} more")
        return f"No {kind} can send yet. {'; '.join(reasons)}."


class WaitLog:
    """
    Tells what a gate waits for once per change, not once per poll.

    :param log: Where it goes.
    :param told: The mark of what has been told already, by the worker before it deferred.
    """

    def __init__(self, log: Log, told: str | None = None) -> None:
        self._log = log
        self.told = told

    def waiting(self, reason: str) -> None:
        """Tell why the gate is shut, if that is news."""
        if self._is_news(reason):
            self._log.info("Waiting. %s", reason)

    def trouble(self, error: Exception) -> None:
        """Tell that a poll failed and is waited out, if that is news."""
        # The message holds a new request id each time, so that it alone would always be news.
        kind = (type(error).__name__, getattr(error, "status_code", None), getattr(error, "code", None))
        if self._is_news(str(kind)):
            self._log.warning("Could not learn which accounts can send, waiting on: %s: %s", kind[0], error)

    def _is_news(self, what: str) -> bool:
        mark = hashlib.sha256(what.encode(errors="replace")).hexdigest()[:16]
        news, self.told = mark != self.told, mark
        return news
