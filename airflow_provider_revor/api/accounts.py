"""
Connect accounts: what an account is, when it can send, and why it cannot.

Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from operator import itemgetter
from typing import Any

from airflow_provider_revor.api.answers import Envelope
from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.api.wire import API_ROOT, Request
from airflow_provider_revor.exceptions import RevorValueError

ACCOUNTS_PATH = f"{API_ROOT}/connect/accounts"


class Channel(StrEnum):
    """A channel that Revor sends on."""

    EMAIL = "email"
    LINKEDIN = "linkedin"
    WHATSAPP = "whatsapp"


@dataclass(frozen=True, slots=True)
class ConnectAccount:
    """
    A Connect account.

    ``channel``, ``status`` and ``lifecycle_status`` are open sets: values not known here survive as strings.

    :param account_id: What outreach endpoints take as ``account_id``.
    :param channel: ``email``, ``linkedin`` or ``whatsapp``.
    :param name: The display name.
    :param account_identifier: An address or a profile URL, or None: personal data.
    :param status: ``ok``, ``credentials`` (must be updated or reconnected) or ``error`` (not available now).
    :param lifecycle_status: Diagnostic only: it explains and never decides.
    :param can_send: Whether it may send messages or act.
    :param can_receive: Whether it may receive or sync.
    """

    account_id: str
    channel: str
    name: str
    account_identifier: str | None = field(repr=False)
    status: str
    lifecycle_status: str
    can_send: bool
    can_receive: bool

    @property
    def sendable(self) -> bool:
        """Whether it can really send: ``status`` is ``ok`` and ``can_send`` is true."""
        return self.status == "ok" and self.can_send

    @property
    def blocked_reason(self) -> str | None:
        """Why it cannot send, and what to do, in a clause without personal data; None if it can."""
        if self.sendable:
            return None
        if self.status == "credentials":
            why = f"its credentials must be updated: reconnect it at {CONNECT_ACCOUNTS_URL}"
        elif self.status == "error":
            why = "it is not available now"
        elif self.status == "ok":
            why = f"can_send is false: see what it may do at {CONNECT_ACCOUNTS_URL}"
        else:
            why = f"its status is {self.status!r}"
        return f"{why} (status {self.status}, lifecycle {self.lifecycle_status})"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, the fields as the API names them."""
        return {name: getattr(self, name) for name in self.__slots__}


class _Draft:
    """An account that can still be written to: a frozen one's own ``__init__`` takes three times as long."""

    __slots__ = ConnectAccount.__slots__

    account_id: str
    channel: str
    name: str
    account_identifier: str | None
    status: str
    lifecycle_status: str
    can_send: bool
    can_receive: bool


_FIELDS = tuple(ConnectAccount.__slots__)
# Documented as never null. The one field that may be null, account_identifier, may also be missing.
_REQUIRED: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("account_id", "channel", "name", "status", "lifecycle_status"), (str, "a string")),
    **dict.fromkeys(("can_send", "can_receive"), (bool, "a boolean")),
}
_DOCUMENTED = tuple(_REQUIRED.get(name, (str,))[0] for name in _FIELDS)
_read_fields = itemgetter(*_FIELDS)


def is_nothing(value: object) -> bool:
    """Return whether a rendered template says nothing: None, or what Jinja makes of an argument left out."""
    return value is None or (isinstance(value, str) and value.strip().lower() in ("", "none"))


def parse_channel(value: object) -> Channel | None:
    """
    Return the channel that a caller or a rendered template names.

    :param value: A channel; None, an empty string or ``None`` for no channel in particular.
    :raises RevorValueError: (a ValueError) if it is no channel of Revor's.
    """
    if is_nothing(value):
        return None
    try:
        return Channel(str(value).strip())
    except ValueError:
        choices = ", ".join(channel.value for channel in Channel)
        raise RevorValueError(f"{value!r} is no Revor channel: use one of {choices}.") from None


def parse_can_send(value: bool | str | None) -> bool | None:
    """
    Return the filter that a caller or a rendered template means.

    :param value: A bool; or ``true``, ``false``, ``1`` or ``0`` in any case; None, an empty string or
        ``None`` for no filter.
    :raises RevorValueError: (a ValueError) for anything else.
    """
    if is_nothing(value):
        return None
    text = str(value).strip().lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise RevorValueError(f"can_send={value!r} is neither true nor false: use true, false, 1 or 0.")


def list_request(channel: str | None = None, can_send: bool | None = None) -> Request:
    """
    Return the request for the list of Connect accounts.

    :param channel: Only accounts of this channel; None for all.
    :param can_send: Only accounts whose ``can_send`` is this; None for all.
    :raises RevorValueError: (a ValueError) if a filter is none that Revor knows.
    """
    return Request(
        "GET", ACCOUNTS_PATH, params={"channel": parse_channel(channel), "can_send": parse_can_send(can_send)}
    )


def read_accounts(envelope: Envelope) -> list[ConnectAccount]:
    """
    Return the accounts that an answer lists, in Revor's order.

    :param envelope: The decoded answer; its items are used up.
    :raises RevorResponseError: if one of them is not as documented; it names the field.
    """
    items = envelope.items
    # In place: each item is freed as its account is made, or the garbage collector would go through all of a long
    # list again and again. And without a function for each: benchmarks/bench_decode.py tells what that costs.
    for index, item in enumerate(items):
        try:
            values = _read_fields(item)
        except (KeyError, TypeError):
            values = ()
        if tuple(map(type, values)) != _DOCUMENTED:
            values = _read_carefully(envelope, index, item)
        items[index] = account = _Draft()
        (
            account.account_id,
            account.channel,
            account.name,
            account.account_identifier,
            account.status,
            account.lifecycle_status,
            account.can_send,
            account.can_receive,
        ) = values
        account.__class__ = ConnectAccount  # type: ignore[assignment]
    return items


def _read_carefully(envelope: Envelope, index: int, item: Any) -> tuple[Any, ...]:
    """Return the fields of an item that lacks some, or say which one is not as documented."""
    if not isinstance(item, dict):
        raise envelope.malformed(f"items[{index}]", "an object", item)
    for name, (kind, wanted) in _REQUIRED.items():
        if type(item.get(name)) is not kind:
            raise envelope.malformed(f"items[{index}].{name}", wanted, item.get(name))
    identifier = item.get("account_identifier")
    if identifier is not None and not isinstance(identifier, str):
        raise envelope.malformed(f"items[{index}].account_identifier", "a string or null", identifier)
    return tuple(item.get(name) for name in _FIELDS)
