"""
What a gate waits for: the part that the sensor and its trigger share.

Pure: a gate is given the whole list of accounts and filters here, so that every gate of a connection can share
one request, and can say why each account is blocked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from airflow_provider_revor.api.accounts import Channel, ConnectAccount, is_nothing, parse_channel
from airflow_provider_revor.api.checks import parse_id
from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.api.text import clean_id
from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.selection import Strategy, choose, explain_blocked, sticky_digest

# As in "Could not learn which accounts can send".
ACCOUNTS_QUESTION = "which accounts can send"

_MOST_EXPLAINED = 20


@dataclass(frozen=True, slots=True)
class Gate:
    """
    What a gate waits for, and which account it takes.

    :param channel: Any account of this channel; None for any channel.
    :param account_id: That very account; None for any.
    :param pick: Which one of several sendable accounts: ``first``, ``random`` or ``sticky``.
    :param digest: What stands for the key of ``sticky``; None for the others.
    """

    channel: Channel | None = None
    account_id: str | None = None
    pick: Strategy = "first"
    digest: str | None = None

    @classmethod
    def of(
        cls,
        *,
        channel: object = None,
        account_id: object = None,
        any_account: bool = True,
        pick: Strategy = "first",
        sticky_key: object = None,
        digest: str | None = None,
    ) -> Gate:
        """
        Return the gate for a channel, an account and a key as a caller or a rendered template names them.

        :param channel: A channel; None, an empty string or ``None`` for any.
        :param account_id: An account's id.
        :param any_account: Whether it may be left out.
        :param pick: ``first``, ``random`` or ``sticky``.
        :param sticky_key: The key of ``sticky``.
        :param digest: What stands for that key, from whoever made a gate of it already.
        :raises RevorValueError: if the channel is none of Revor's, an account that was asked for is not named, or the
            way to pick or its key cannot be used.
        """
        if (account_id is None and not any_account) or (account_id is not None and is_nothing(account_id)):
            raise RevorValueError(
                f"account_id rendered to {account_id!r}: it must name an account. Leave it out to wait for any."
            )
        named = None if account_id is None else parse_id("account_id", account_id)
        return cls(parse_channel(channel), named, pick, digest or sticky_digest(pick, sticky_key))

    @property
    def failing(self) -> str:
        """What has not happened in time, up to "within 60 s"."""
        if self.account_id is not None:
            return f"Account {clean_id(self.account_id)} could not send"
        return f"No {self.channel or 'Connect'} account could send"

    def candidates(self, accounts: Sequence[ConnectAccount]) -> Sequence[ConnectAccount]:
        """
        Return the accounts that could open the gate, sendable or not, in Revor's order.

        :param accounts: All accounts of the connection.
        :raises RevorValueError: if the account waited for is of another channel: that never changes.
        """
        return self._view(accounts).candidates

    def find(self, accounts: Sequence[ConnectAccount]) -> ConnectAccount | None:
        """
        Return the account that opens the gate: of the sendable ones, the one to pick.

        :param accounts: All accounts of the connection.
        :return: The account, or None while the gate stays shut.
        :raises RevorValueError: if the account waited for is of another channel: that never changes.
        """
        return choose(self._view(accounts).sendable, self.pick, self.digest)

    def explain(self, accounts: Sequence[ConnectAccount]) -> str:
        """
        Return why the gate is shut, on one line and without personal data.

        :param accounts: All accounts of the connection, none of which opens the gate.
        """
        summary, *reasons = (line.rstrip(".") for line in self.reasons(accounts))
        return f"{summary}. {'; '.join(reasons)}." if reasons else f"{summary}."

    def reasons(self, accounts: Sequence[ConnectAccount]) -> tuple[str, ...]:
        """
        Return why the gate is shut, without personal data: a sentence, then one for each account that it waits for.

        :param accounts: All accounts of the connection, none of which opens the gate.
        """
        return self._view(accounts).reasons

    def _view(self, accounts: Sequence[ConnectAccount]) -> _View:
        snapshot = accounts if isinstance(accounts, Snapshot) else Snapshot(accounts)
        return snapshot.view(self.channel, self.account_id)


class Snapshot(list[ConnectAccount]):
    """
    All accounts of a connection at one moment, and what gates have found out about them.

    Many gates look at one list: each kind of gate searches it once, and explains once why it is shut.
    """

    def __init__(self, accounts: Iterable[ConnectAccount]) -> None:
        super().__init__(accounts)
        self._views: dict[tuple[Channel | None, str | None], _View] = {}

    def view(self, channel: Channel | None, account_id: str | None) -> _View:
        """
        Return what gates of a kind see.

        :param channel: Their channel; None for any.
        :param account_id: Their account; None for any.
        :raises RevorValueError: if that account is of another channel.
        """
        kind = (channel, account_id)
        if kind not in self._views:
            found = self if account_id is None else self._by_id.get(account_id, [])
            if channel is not None and account_id is not None and found and found[0].channel != channel:
                theirs = clean_id(found[0].channel)
                raise RevorValueError(
                    f"Account {clean_id(account_id)} is of the channel {theirs}, so it can never send on {channel}: "
                    "give the gate that channel, or another account."
                )
            fitting = [account for account in found if channel in (None, account.channel)]
            self._views[kind] = _View(channel, account_id, fitting)
        return self._views[kind]

    @cached_property
    def _by_id(self) -> dict[str, list[ConnectAccount]]:
        index: dict[str, list[ConnectAccount]] = {}
        for account in self:
            index.setdefault(account.account_id, []).append(account)
        return index


@dataclass
class _View:
    """What one kind of gate sees of a list: all that could open it."""

    channel: Channel | None
    account_id: str | None
    candidates: list[ConnectAccount]

    @cached_property
    def sendable(self) -> list[ConnectAccount]:
        return [account for account in self.candidates if account.sendable]

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        kind = f"{self.channel} account" if self.channel else "account"
        if not self.candidates and self.account_id is None:
            return (f"No {kind} is connected at all: connect one at {CONNECT_ACCOUNTS_URL}.",)
        if not self.candidates:
            return (f"Account {clean_id(self.account_id)} is not connected: connect it at {CONNECT_ACCOUNTS_URL}.",)
        blocked = explain_blocked(self.candidates, _MOST_EXPLAINED)
        return (f"No {kind} can send yet.", *(f"{reason}." for reason in blocked))
