"""
Picks a sendable account: the first, a random one, or always the same one for a key.

Pure functions, for gates and for tasks of your own.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from airflow_provider_revor.api.accounts import Channel, ConnectAccount, is_nothing, parse_channel
from airflow_provider_revor.api.checks import ADDRESS_FIELD, is_empty_cell, recipient_of
from airflow_provider_revor.exceptions import RevorValueError

Strategy = Literal["first", "random", "sticky"]

_Account = TypeVar("_Account", bound=ConnectAccount | Mapping[str, Any])

# The fields that an account's dict needs to be picked.
_NOT_NEEDED: dict[str, Any] = dict.fromkeys(
    ("channel", "name", "account_identifier", "lifecycle_status", "can_receive")
)
_NEEDED = {"account_id": str, "status": str, "can_send": bool}

_MOST_EXPLAINED = 5


def pick_account(
    accounts: Iterable[_Account] | None, strategy: Strategy = "first", key: str | int | None = None
) -> _Account:
    """
    Return one of the accounts that can send.

    ``sticky`` gives a key the same account each time, in any process and any order of the list, and spreads many keys
    evenly. When an account can no longer send, only its own keys move to others; when it can again, they return.

    :param accounts: Account dicts as :class:`.ListConnectAccountsOperator` pushes them, or
        :class:`~airflow_provider_revor.api.accounts.ConnectAccount` objects; None, which a missing XCom gives, for no
        account. Accounts that cannot send are ignored.
    :param strategy: ``first``, the first one in the list, which is Revor's order; ``random``; or ``sticky``.
        Default: ``first``.
    :param key: Only for ``sticky``: who always gets the same account, such as a lead's id; ``7`` and ``"7"`` are the
        same. Default: None.
    :return: The account, as it was given.
    :raises RevorValueError: (a ValueError) if none of them can send, one of them is not an account, or the strategy or
        its key cannot be used.
    """
    digest = sticky_digest(strategy, key)
    given = list(accounts or ())
    judged = [_judge(position, account) for position, account in enumerate(given)]
    chosen = choose(judged, strategy, digest)
    if chosen is None:
        reasons = f" {'; '.join(explain_blocked(judged, _MOST_EXPLAINED))}." if judged else ""
        raise RevorValueError(
            f"No account to pick: {len(judged)} given, none can send.{reasons} "
            "SendableAccountSensor waits until one can."
        )
    return given[judged.index(chosen)]


def sticky_digest(strategy: str, key: object) -> str | None:
    """
    Return the key's SHA-256, stored because the key may be personal data.

    :param strategy: ``first``, ``random`` or ``sticky``.
    :param key: The key, as a caller or a rendered template gives it.
    :return: The SHA-256 of the key in hexadecimal; None for a strategy without a key.
    :raises RevorValueError: (a ValueError) if there is no such strategy, ``sticky`` has no key, or another one has.
    """
    if strategy not in get_args(Strategy):
        choices = ", ".join(get_args(Strategy))
        raise RevorValueError(f"{strategy!r} is not a way to pick an account: use one of {choices}.")
    if strategy != "sticky":
        if key is not None:
            raise RevorValueError(f"A sticky key has no use in picking {strategy!r}: pick 'sticky', or leave it out.")
        return None
    if is_nothing(key):
        raise RevorValueError(
            f"The sticky key is {key!r}: it must say who always meets the same account, such as a lead's id."
        )
    # A template that renders to native objects turns an id such as 12e5 into a float. Other types are rejected: their
    # text may differ the next time.
    if not isinstance(key, str | int | float) or isinstance(key, bool):
        raise RevorValueError(f"The sticky key is of the type {type(key).__name__}: use a string or a number.")
    return _sha256(str(key).strip()).hex()


def choose(accounts: Sequence[ConnectAccount], strategy: Strategy, digest: str | None = None) -> ConnectAccount | None:
    """
    Return the account to take, or None if none can send.

    :param accounts: Accounts, sendable or not, in Revor's order.
    :param strategy: ``first``, ``random`` or ``sticky``.
    :param digest: What :func:`sticky_digest` returned.
    """
    sendable = [account for account in accounts if account.sendable]
    if not sendable:
        return None
    if strategy == "sticky":
        # Rendezvous hashing: the account with the highest hash of key and account wins, so that an account that comes
        # or goes changes no other hash. Never change the formula: every key would move.
        return max(sendable, key=lambda account: _sha256(f"{digest}:{account.account_id}"))
    return random.choice(sendable) if strategy == "random" else sendable[0]  # noqa: S311


def explain_blocked(accounts: Sequence[ConnectAccount], most: int) -> list[str]:
    """
    Return why each account cannot send, in a clause without personal data.

    :param accounts: Accounts, none of which can send.
    :param most: How many of them to explain; the rest is counted.
    """
    reasons = [f"{account.label}: {account.blocked_reason}" for account in accounts[:most]]
    if more := len(accounts) - len(reasons):
        reasons.append(f"and {more} more")
    return reasons


def _judge(position: int, account: ConnectAccount | Mapping[str, Any]) -> ConnectAccount:
    """Return an account object, which knows whether it can send."""
    if isinstance(account, ConnectAccount):
        return account
    fields = account if isinstance(account, Mapping) else {}
    for name, kind in _NEEDED.items():
        if not isinstance(fields.get(name), kind):
            raise RevorValueError(
                f"accounts[{position}] is no account: it has no `{name}` that is a {kind.__name__}. "
                "Pass the list that ListConnectAccountsOperator pushes."
            )
    # A task may have dropped the fields that are not needed.
    values: dict[str, Any] = {name: fields[name] for name in ConnectAccount.__slots__ if name in fields}
    return ConnectAccount(**{**_NOT_NEEDED, **values})


def _sha256(text: str) -> bytes:
    # JSON may hold a lone surrogate, which plain UTF-8 rejects.
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


class Plan(NamedTuple):
    """
    Who gets a message from which account.

    :param assigned: Pairs of a person, as given, and the beginning of a message to them: ``reference``, ``account_id``,
        ``channel`` and ``recipient``. With a ``content`` it is what :class:`.OutreachBatchOperator` takes.
    :param left_over: The others, each with a ``reference``, a ``reason`` (``no_address``, ``no_account`` or ``cap``)
        and the ``channel`` whose account is at its cap.
    """

    assigned: list[tuple[Mapping[str, Any], dict[str, Any]]]
    left_over: list[dict[str, Any]]


def plan_outreach(
    people: Iterable[Mapping[str, Any]],
    accounts: Iterable[ConnectAccount | Mapping[str, Any]] | None,
    *,
    key: str,
    channels: Sequence[str] = ("email", "linkedin"),
    most_per_account: int | Mapping[str, int] | None = None,
) -> Plan:
    """
    Give each person a channel and an account, as far as there are some.

    The channel is the first one that the person has an address on and that has an account that can send. The account is
    the person's sticky one, the same as :func:`pick_account` picks, so that each person always meets the same sender.
    People are served in the order of the list; a person whose account has reached its cap is left over.

    :param people: Dicts with an ``address`` (email), a ``profile_url`` (LinkedIn) or a ``phone`` (WhatsApp), or several
        of them, and maybe a ``name``. None, NaN (pandas' empty cell) and blank text count as left out.
    :param accounts: As for :func:`pick_account`.
    :param key: The field of a person that holds the sticky key, such as a CRM id; it becomes the ``reference``.
    :param channels: The channels to use, in the order of preference. Default: ``email``, then ``linkedin``.
    :param most_per_account: How many people an account may have at the most: a number, or one for each channel. None
        for no limit. Default: None.
    :raises RevorValueError: (a ValueError) if an argument cannot be used, a person has no key, or an account is none.
    """
    judged = [_judge(position, account) for position, account in enumerate(accounts or ())]
    usable: dict[Channel, list[ConnectAccount]] = {}
    for name in channels:
        if (channel := parse_channel(name)) is None:
            raise RevorValueError(f"channels={channels!r}: name each one.")
        usable[channel] = [account for account in judged if account.channel == channel and account.sendable]
    named = most_per_account if isinstance(most_per_account, Mapping) else {}
    if unknown := [name for name in named if name not in list(Channel)]:
        raise RevorValueError(f"most_per_account names {unknown[0]!r}, which is no Revor channel.")
    caps = {channel: _cap(most_per_account, channel) for channel in usable}
    counts: Counter[str] = Counter()
    plan = Plan([], [])
    for position, person in enumerate(people):
        if not isinstance(person, Mapping) or is_nothing(person.get(key)):
            raise RevorValueError(f"people[{position}] has no {key!r}, which says who always meets the same account.")
        left = {"reference": person[key], "reason": "no_address", "channel": None}
        reachable = [channel for channel in usable if not is_empty_cell(person.get(ADDRESS_FIELD[channel]))]
        channel = next((channel for channel in reachable if usable[channel]), None)
        if channel is None:
            plan.left_over.append({**left, "reason": "no_account" if reachable else "no_address"})
            continue
        account = choose(usable[channel], "sticky", sticky_digest("sticky", person[key]))
        cap = caps[channel]
        if account is None or (cap is not None and counts[account.account_id] >= cap):
            plan.left_over.append({**left, "reason": "cap", "channel": channel.value})
            continue
        counts[account.account_id] += 1
        message = {
            "reference": person[key],
            "account_id": account.account_id,
            "channel": channel.value,
            "recipient": recipient_of(channel, person),
        }
        plan.assigned.append((person, message))
    return plan


def _cap(most: int | Mapping[str, int] | None, channel: Channel) -> int | None:
    cap = most.get(channel.value) if isinstance(most, Mapping) else most
    if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int) or cap < 0):
        raise RevorValueError(f"most_per_account={most!r}: use a whole number from 0 on, or one for each channel.")
    return cap
