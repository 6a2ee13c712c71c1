"""A sandbox that runs in a thread of this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from pydantic import TypeAdapter
from typing_extensions import Unpack

from airflow_provider_revor.sandbox.contract.accounts import AccountChanges, AccountSet
from airflow_provider_revor.sandbox.scripting import ScriptingMethods
from airflow_provider_revor.sandbox.web import control, home, revor
from airflow_provider_revor.sandbox.web.app import create_app
from airflow_provider_revor.sandbox.web.guard import Guard
from airflow_provider_revor.sandbox.web.requests import ApiRequestMiddleware
from airflow_provider_revor.sandbox.web.serving import HOST, ServerThread
from airflow_provider_revor.sandbox.world.clock import ClockChange
from airflow_provider_revor.sandbox.world.keys import ApiKey, KeyState
from airflow_provider_revor.sandbox.world.requests import RequestRecord
from airflow_provider_revor.sandbox.world.world import World


class Sandbox(ScriptingMethods):
    """
    A local Revor, on 127.0.0.1, for as long as the ``with`` block lasts.

    .. code-block:: python

        with Sandbox() as sandbox:
            sandbox.fail(429, retry_after=2)
            requests.get(f"{sandbox.url}/api/v1/connect/accounts", headers={"x-api-key": sandbox.api_key})
            assert sandbox.request_count == 1

    Its methods may be called from any thread; what they change holds for the next request. No account of the
    default set can send: :meth:`reconnect` one, or :meth:`set_accounts` of your own. What is sent goes nowhere but
    to :attr:`outbox`, and its job succeeds at once unless :meth:`script_jobs` told otherwise.

    :param port: the port to listen on; 0, the default, takes a free one.
    :param api_key: the key that requests must carry.
    :param accounts: what to start with, as for :meth:`set_accounts`; None, the default: the default set.
    :param on_request: called with every API request, in the server's thread, before its response leaves.
    :param keep_intervals: True: jobs of an owner and channel start at least their ``min_channel_task_interval_seconds``
        apart, as in Revor; False, the default: at once.
    :raises ValueError: if the accounts are not right.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        api_key: str = "sk-revor-sandbox",
        accounts: Iterable[Mapping[str, Any]] | None = None,
        on_request: Callable[[RequestRecord], None] | None = None,
        keep_intervals: bool = False,
    ) -> None:
        self._port = port
        self._world = World(api_key, accounts, on_request, keep_intervals)
        self._thread: ServerThread | None = None

    def start(self) -> None:
        """
        Start to serve; returns when requests are served.

        :raises OSError: if the port is taken.
        :raises RuntimeError: if it runs already.
        """
        if self._thread:
            raise RuntimeError("the sandbox runs already")
        app = create_app(self._world, home.router, revor.v1, revor.v2, control.router)
        self._thread = ServerThread(Guard(ApiRequestMiddleware(app, self._world), self._world), self._port)
        self._port = self._thread.port

    def stop(self) -> None:
        """Hang up on everyone and end the thread; without effect on a sandbox that does not run."""
        if self._thread:
            self._thread.stop()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # How to reach it

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:8765``; complete once it was started."""
        return f"http://{HOST}:{self._port}"

    @property
    def api_key(self) -> str:
        """The key that requests must carry."""
        return self._world.keys.first

    @property
    def connection(self) -> dict[str, str]:
        """The Airflow connection to it: ``conn_type``, ``host`` and ``password``."""
        return {"conn_type": "revor", "host": self.url, "password": self.api_key}

    @property
    def connection_json(self) -> str:
        """The same as JSON, which is what the environment variable AIRFLOW_CONN_REVOR_DEFAULT takes."""
        return json.dumps(self.connection)

    # Accounts and the key

    @property
    def accounts(self) -> list[dict[str, Any]]:
        """All accounts, as the API serves them."""
        return [account.model_dump() for account in self._world.accounts()]

    def set_accounts(self, accounts: Iterable[Mapping[str, Any]]) -> None:
        """
        Replace all accounts.

        :param accounts: one mapping per account, with the API's field names. Only ``account_id`` and
            ``channel`` are required; the defaults make an account that can send. Unknown fields are served too.
        :raises ValueError: if one is not an account, or two have the same id; nothing is changed then.
        """
        self._world.set_accounts(accounts)

    def update_account(self, account_id: str, **changes: Unpack[AccountChanges]) -> dict[str, Any]:
        """
        Change some fields of one account, such as ``status="error", can_send=False``.

        :param account_id: which one.
        :param changes: the fields and their new values.
        :return: the account as it is now.
        :raises KeyError: if there is no such account.
        :raises ValueError: if a field is unknown, or its value not a right one.
        """
        return self._world.update_account(account_id, **changes).model_dump()

    def reconnect(self, account_id: str) -> dict[str, Any]:
        """
        Reconnect an account, as a person does in Revor's console, so that it can send.

        :param account_id: which one.
        :return: the account as it is now.
        :raises KeyError: if there is no such account.
        """
        return self._world.reconnect(account_id).model_dump()

    def block(self, account_id: str) -> dict[str, Any]:
        """
        Let an account's credentials expire, so that it can't send until it is reconnected.

        :param account_id: which one.
        :return: the account as it is now.
        :raises KeyError: if there is no such account.
        """
        return self._world.block(account_id).model_dump()

    def reconnect_all(self) -> int:
        """
        Reconnect every account whose status is ``credentials``.

        :return: how many.
        """
        return self._world.reconnect_all()

    def set_key(self, api_key: str | None = None, *, valid: bool = True, permitted: bool = True) -> None:
        """
        Revoke, restore or rotate the API key; without arguments it is valid again.

        Rotated, it is still the same owner's: accounts and jobs stay visible. But Revor remembers an idempotency key
        by API key and path, so that the same request under another API key creates a second job.

        :param api_key: the key from now on, for :attr:`connection` too; the one before gets 401 ``api_key_invalid``.
        :param valid: False: requests with it get 401 ``api_key_invalid``.
        :param permitted: False: requests with it get 403 ``permission_denied``.
        :raises ValueError: if the key can't be one, or is in use.
        """
        self._world.keys.set(KeyState(api_key=api_key, valid=valid, permitted=permitted))

    def add_key(self, api_key: str, *, accounts: Iterable[Mapping[str, Any]] | None = None) -> None:
        """
        Add an API key, beside the one of :attr:`connection`.

        :param api_key: the key.
        :param accounts: None, the default: it is of the same owner, and sees the same accounts and jobs. Else it is of
            another owner, who has these accounts, and to whom other jobs do not exist (404). :attr:`accounts` has those
            of the first owner; :attr:`jobs` and :attr:`outbox` have those of all.
        :raises ValueError: if the key can't be one, or is in use, or an account is not right.
        """
        key = TypeAdapter(ApiKey).validate_python(api_key)
        self._world.add_key(key, None if accounts is None else AccountSet.model_validate(list(accounts)))

    def revoke_key(self) -> None:
        """Make the API key invalid, as revoking it in Revor does."""
        self.set_key(valid=False)

    def set_credits(self, available: int) -> None:
        """
        Set the credits that v2 returns. Nothing is charged: for a lack of them, ``fail(code="insufficient_credits")``.

        :param available: how many.
        """
        self._world.credits = available

    # The clock

    @property
    def now(self) -> datetime:
        """The sandbox's time, by which responses, jobs and requests are dated."""
        return self._world.clock().now

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """
        Let time pass at once: jobs become due, start and end. ``advance(hours=3)`` is three hours.

        :param days: how many days, and so on.
        :raises ValueError: if that is less than nothing, or more than ten years.
        """
        passed = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._world.clock(ClockChange(advance=passed.total_seconds()))

    def set_clock_offset(self, seconds: float = 0.0) -> None:
        """
        Set the clock wrong, as Revor's may be, or without arguments right again; jobs do not come closer by that.

        All of Revor's times are by this clock: the header ``Date``, and the times of jobs, those that are there already
        included.

        :param seconds: how far it is ahead of ours; negative: behind.
        :raises ValueError: if that is more than ten years.
        """
        self._world.clock(ClockChange(offset=seconds))

    # Requests

    @property
    def requests(self) -> list[RequestRecord]:
        """The latest 1000 API requests, oldest first; they have a method, path, query, status and more."""
        return self._world.requests.read().items

    @property
    def request_count(self) -> int:
        """How many API requests there were since the start or the last reset."""
        return self._world.requests.read().total

    def reset_requests(self) -> None:
        """Start counting from 0."""
        self._world.requests.reset()

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> None:
        """
        Wait until so many API requests were counted; no change after that changes their responses.

        :param count: how many, since the start or the last reset.
        :param timeout: the longest wait, in seconds.
        :raises TimeoutError: if there are fewer by then.
        """
        self._world.requests.wait(count, timeout)
