"""What a sandbox knows, and how it changes: the HTTP faces and :class:`Sandbox` only pass on to this."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import Unpack

from airflow_provider_revor.sandbox.defaults import DEFAULT_ACCOUNTS
from airflow_provider_revor.sandbox.errors import ApiError
from airflow_provider_revor.sandbox.models import (
    Account,
    AccountChanges,
    AccountSet,
    Fault,
    KeyState,
    RequestLog,
    RequestRecord,
)
from airflow_provider_revor.sandbox.outreach import Outreach

_CHANGES = TypeAdapter(AccountChanges)
_RECONNECTED: AccountChanges = {
    "status": "ok",
    "lifecycle_status": "active",
    "can_send": True,
    "can_receive": True,
}


class UnknownAccountError(KeyError):
    """There is no account of this id."""

    def __str__(self) -> str:
        return f"no account {self.args[0]!r} in the sandbox"


class SandboxState:
    """
    The accounts, the key, the faults to come and the requests so far. Every method is safe in any thread.

    Outreach has a state of its own: ``outreach``.

    :param api_key: the key that requests must carry.
    :param accounts: what to start with, as for :meth:`set_accounts`; None: the default set.
    :param on_request: called with every API request, in the server's thread, before its answer leaves.
    """

    def __init__(
        self,
        api_key: str,
        accounts: Iterable[Mapping[str, Any]] | None = None,
        on_request: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        self.api_key = api_key
        self._on_request = on_request
        self._changed = threading.Condition()
        self._key = KeyState()
        self._accounts: dict[str, Account] = {}
        self._faults: list[Fault] = []
        self._total = 0
        self._requests: deque[RequestRecord] = deque(maxlen=1000)
        self.outreach = Outreach(self.accounts)
        self.set_accounts(DEFAULT_ACCOUNTS if accounts is None else accounts)

    # Accounts

    def set_accounts(self, accounts: Iterable[Mapping[str, Any] | Account]) -> None:
        """
        Replace all accounts.

        :param accounts: one mapping per account; what is left out makes an account that can send.
        :raises ValueError: if one is not an account, or two have the same id; nothing is changed then.
        """
        items = AccountSet.model_validate({"items": list(accounts)}).items
        with self._changed:
            self._accounts = {account.account_id: account for account in items}

    def accounts(self, channel: str | None = None, can_send: bool | None = None) -> list[Account]:
        """
        List accounts, in the order in which they were set.

        :param channel: only those of this channel; None: of any.
        :param can_send: only those whose ``can_send`` is this; None: all.
        :return: the accounts.
        """
        with self._changed:
            return [
                account
                for account in self._accounts.values()
                if channel in (None, account.channel) and can_send in (None, account.can_send)
            ]

    def update_account(self, account_id: str, **changes: Unpack[AccountChanges]) -> Account:
        """
        Change some fields of one account.

        :param account_id: which one.
        :param changes: the fields and their new values.
        :return: the account as it is now.
        :raises KeyError: if there is no such account.
        :raises ValueError: if a field is unknown, or its value not a right one.
        """
        checked = _CHANGES.validate_python(changes)
        with self._changed:
            if account_id not in self._accounts:
                raise UnknownAccountError(account_id)
            account = self._accounts[account_id].model_copy(update=dict(checked))
            self._accounts[account_id] = account
            return account

    def reconnect(self, account_id: str) -> Account:
        """
        Do what a person does in Revor's console: connect the account anew, so that it can send.

        :param account_id: which one.
        :return: the account as it is now.
        :raises KeyError: if there is no such account.
        """
        return self.update_account(account_id, **_RECONNECTED)

    def reconnect_all(self) -> int:
        """
        Reconnect every account whose status is ``credentials``.

        :return: how many.
        """
        with self._changed:
            waiting = [account for account in self._accounts.values() if account.status == "credentials"]
            for account in waiting:
                self.reconnect(account.account_id)
            return len(waiting)

    # The key

    def set_key(self, key: KeyState) -> None:
        """
        Set what the API key is good for.

        :param key: whether it is valid, and permitted to read accounts.
        """
        with self._changed:
            self._key = key

    def check_key(self, key: str | None) -> None:
        """
        Let a request pass or not.

        :param key: the key that it carries.
        :raises ApiError: if it may not pass.
        """
        with self._changed:
            if not key:
                raise ApiError("api_key_missing")
            if key != self.api_key or not self._key.valid:
                raise ApiError("api_key_invalid")
            if not self._key.permitted:
                raise ApiError("permission_denied")

    # Faults

    def add_fault(self, fault: Fault) -> None:
        """
        Put a fault at the end of the queue.

        :param fault: what happens, and to how many API requests.
        """
        with self._changed:
            self._faults.append(fault)

    def next_fault(self, method: str) -> Fault | None:
        """
        Take the fault that the request at hand meets off the queue.

        :param method: the request's method.
        :return: the fault; None: the request is answered as it should be.
        """
        with self._changed:
            for number, fault in enumerate(self._faults):
                if fault.method in (None, method):
                    if fault.times > 1:
                        self._faults[number] = fault.model_copy(update={"times": fault.times - 1})
                    else:
                        del self._faults[number]
                    return fault
            return None

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        with self._changed:
            self._faults.clear()

    # Requests

    def count(self, record: RequestRecord) -> None:
        """
        Count an API request.

        :param record: the request.
        """
        with self._changed:
            self._total += 1
            self._requests.append(record)
            self._changed.notify_all()
        if self._on_request:
            self._on_request(record)

    def requests(self) -> RequestLog:
        """
        List the API requests.

        :return: the exact number of all, and copies of the latest 1000.
        """
        with self._changed:
            return RequestLog(total=self._total, items=[record.model_copy() for record in self._requests])

    def reset_requests(self) -> None:
        """Start counting from 0."""
        with self._changed:
            self._total = 0
            self._requests.clear()

    def wait_for_requests(self, count: int, timeout: float) -> None:
        """
        Wait until so many API requests were counted.

        :param count: how many, since the start or the last reset.
        :param timeout: the longest wait, in seconds.
        :raises TimeoutError: if there are fewer by then.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._total >= count, timeout):
                raise TimeoutError(f"the sandbox had {self._total} of {count} requests after {timeout} s")
