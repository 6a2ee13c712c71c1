"""
Connect accounts: their fields, when one can send, and why one cannot.

Source: ``GET /api/v1/connect/accounts`` — List Connect Accounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_revor.api.answers import Envelope, clean_id
from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.api.versions import DEFAULT_VERSION, ApiVersion
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

    ``channel``, ``status`` and ``lifecycle_status`` are open sets: unknown values are kept as strings. Values are what
    Revor sent; use :attr:`label` and :attr:`blocked_reason` in messages and logs.

    :param account_id: What outreach endpoints take as ``account_id``.
    :param channel: ``email``, ``linkedin`` or ``whatsapp``.
    :param name: The display name.
    :param account_identifier: An address or a profile URL, or None: personal data.
    :param status: ``ok``, ``credentials`` (must be updated or reconnected) or ``error`` (not available now).
    :param lifecycle_status: Diagnostic only: it explains and never decides.
    :param can_send: Whether it may send messages or act.
    :param can_receive: Whether it may receive or sync.
    :param api_version: The version of the API that it comes from, whose rule says whether it can send.
    """

    account_id: str
    channel: str
    name: str
    account_identifier: str | None = field(repr=False)
    status: str
    lifecycle_status: str
    can_send: bool
    can_receive: bool
    api_version: str = DEFAULT_VERSION.value

    @property
    def sendable(self) -> bool:
        """Whether it can really send: ``can_send`` is true and, by v1, ``status`` is ``ok``."""
        return self.can_send and (self.status == "ok" or self.api_version == ApiVersion.V2)

    @property
    def blocked_reason(self) -> str | None:
        """Why it cannot send, and what to do, in a clause without personal data; None if it can."""
        if self.sendable:
            return None
        status = clean_id(self.status)
        if self.status == "credentials":
            why = f"its credentials must be updated: reconnect it at {CONNECT_ACCOUNTS_URL}"
        elif self.status == "error":
            why = f"it is not available now: if that persists, reconnect it at {CONNECT_ACCOUNTS_URL}"
        elif self.status == "ok":
            why = f"can_send is false: see what it may do at {CONNECT_ACCOUNTS_URL}"
        else:
            why = f"its status is {status}: see {CONNECT_ACCOUNTS_URL}"
        return f"{why} (status {status}, lifecycle {clean_id(self.lifecycle_status)})"

    @property
    def label(self) -> str:
        """Its id on one short line, for messages and logs."""
        return clean_id(self.account_id) or "(no id)"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, the fields as the API names them."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        # Left out for v1, the default.
        return fields if self.api_version == DEFAULT_VERSION else {**fields, "api_version": self.api_version}


_FIELDS = tuple(name for name in ConnectAccount.__slots__ if name != "api_version")
# Documented as never null. The one field that may be null, account_identifier, may also be missing.
_REQUIRED: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("account_id", "channel", "name", "status", "lifecycle_status"), (str, "a string")),
    **dict.fromkeys(("can_send", "can_receive"), (bool, "a boolean")),
}


def is_nothing(value: object) -> bool:
    """Return whether a rendered value is None, NaN (pandas' empty cell), blank or "none"."""
    if isinstance(value, str):
        return value.strip().lower() in ("", "none")
    return value is None or (isinstance(value, float) and value != value)


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


def parse_flag(name: str, value: Any) -> bool | None:
    """
    Return the filter that a caller or a rendered template means.

    :param name: The argument, for the message of an error.
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
    raise RevorValueError(f"{name}={value!r} is neither true nor false: use true, false, 1 or 0.")


def list_request(channel: str | None = None, can_send: bool | str | None = None) -> Request:
    """
    Return the request for the list of Connect accounts.

    :param channel: Only accounts of this channel; None for all.
    :param can_send: Only accounts whose ``can_send`` is this; None for all.
    :raises RevorValueError: (a ValueError) if a filter is none that Revor knows.
    """
    return Request(
        "GET", ACCOUNTS_PATH, params={"channel": parse_channel(channel), "can_send": parse_flag("can_send", can_send)}
    )


def read_accounts(envelope: Envelope) -> list[ConnectAccount]:
    """
    Return the accounts of a response, in Revor's order.

    :param envelope: The decoded response.
    :raises RevorResponseError: if one of them is not as documented; it names the field.
    """
    return [_read_account(envelope, index, item) for index, item in enumerate(envelope.items)]


def _read_account(envelope: Envelope, index: int, item: Any) -> ConnectAccount:
    if not isinstance(item, dict):
        raise envelope.malformed(f"items[{index}]", "an object", item)
    for name, (kind, wanted) in _REQUIRED.items():
        if not isinstance(item.get(name), kind):
            raise envelope.malformed(f"items[{index}].{name}", wanted, item.get(name))
    identifier = item.get("account_identifier")
    if identifier is not None and not isinstance(identifier, str):
        raise envelope.malformed(f"items[{index}].account_identifier", "a string or null", identifier)
    fields: dict[str, Any] = {name: item.get(name) for name in _FIELDS}
    return ConnectAccount(**fields, api_version=envelope.version.value)


def filter_sendable(accounts: list[ConnectAccount], sendable: bool | str | None) -> list[ConnectAccount]:
    """
    Return the accounts that can really send, or those that cannot.

    :param accounts: Accounts in Revor's order.
    :param sendable: Whether they can send by the rule of :attr:`ConnectAccount.sendable`; None for all.
    :raises RevorValueError: (a ValueError) if it is neither true nor false.
    """
    wanted = parse_flag("sendable", sendable)
    return [account for account in accounts if wanted in (None, account.sendable)]


def counted(number: int) -> str:
    """
    Return a number of Connect accounts in words.

    :param number: How many.
    """
    return f"{number} Connect account" if number == 1 else f"{number} Connect accounts"
