"""
Which sendable account to take: the first, a random one, or always the same one for a key.

Pure functions, for gates and for tasks of your own.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args

from airflow_provider_revor.api.accounts import ConnectAccount, is_nothing
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
        reasons = f" {explain_blocked(judged, _MOST_EXPLAINED)}." if judged else ""
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
    # A template that renders to native objects makes a float of an id such as 12e5. Other types are refused: their text
    # may differ the next time.
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


def explain_blocked(accounts: Sequence[ConnectAccount], most: int) -> str:
    """
    Return why accounts cannot send, on one line and without personal data.

    :param accounts: Accounts, none of which can send.
    :param most: How many of them to explain; the rest is counted.
    """
    reasons = [f"{account.label}: {account.blocked_reason}" for account in accounts[:most]]
    if more := len(accounts) - len(reasons):
        reasons.append(f"and {more} more")
    return "; ".join(reasons)


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
    # JSON may hold half a surrogate pair, which plain UTF-8 refuses.
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
