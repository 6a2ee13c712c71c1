"""A sandbox that runs in a thread of this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from typing_extensions import Unpack

from airflow_provider_revor.sandbox.app import create_app
from airflow_provider_revor.sandbox.models import (
    AccountChanges,
    AnswerFault,
    DropFault,
    ErrorFault,
    KeyState,
    RequestRecord,
    SlowFault,
    TruncateFault,
)
from airflow_provider_revor.sandbox.serving import HOST, ServerThread
from airflow_provider_revor.sandbox.state import SandboxState


class Sandbox:
    """
    A local Revor, on 127.0.0.1, for as long as the ``with`` block lasts.

    .. code-block:: python

        with Sandbox() as sandbox:
            sandbox.fail(429, retry_after=2)
            requests.get(f"{sandbox.url}/api/v1/connect/accounts", headers={"x-api-key": sandbox.api_key})
            assert sandbox.request_count == 1

    Its methods may be called from any thread; what they change holds for the next request. No account of the
    default set can send: :meth:`reconnect` one, or :meth:`set_accounts` of your own.

    :param port: the port to listen on; 0, the default, takes a free one.
    :param api_key: the key that requests must carry.
    :param accounts: what to start with, as for :meth:`set_accounts`; None, the default: the default set.
    :param on_request: called with every API request, in the server's thread, before its answer leaves.
    :raises ValueError: if the accounts are not right.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        api_key: str = "sk-revor-sandbox",
        accounts: Iterable[Mapping[str, Any]] | None = None,
        on_request: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        self._port = port
        self._state = SandboxState(api_key, accounts, on_request)
        self._thread: ServerThread | None = None

    def start(self) -> None:
        """
        Start to serve; returns when requests are answered.

        :raises OSError: if the port is taken.
        :raises RuntimeError: if it runs already.
        """
        if self._thread:
            raise RuntimeError("the sandbox runs already")
        self._thread = ServerThread(create_app(self._state), self._port)
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
        return self._state.api_key

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
        return [account.model_dump() for account in self._state.accounts()]

    def set_accounts(self, accounts: Iterable[Mapping[str, Any]]) -> None:
        """
        Replace all accounts.

        :param accounts: one mapping per account, with the API's field names. Only ``account_id`` and
            ``channel`` must be there; what else is left out makes an account that can send. Unknown fields
            are served too.
        :raises ValueError: if one is not an account, or two have the same id; nothing is changed then.
        """
        self._state.set_accounts(accounts)

    def update_account(self, account_id: str, **changes: Unpack[AccountChanges]) -> dict[str, Any]:
        """
        Change some fields of one account, such as ``status="error", can_send=False``.

        :param account_id: which one.
        :param changes: the fields and their new values.
        :return: the account as it is now.
        :raises KeyError: if there is no such account.
        :raises ValueError: if a field is unknown, or its value not a right one.
        """
        return self._state.update_account(account_id, **changes).model_dump()

    def reconnect(self, account_id: str) -> dict[str, Any]:
        """
        Do what a person does in Revor's console: connect the account anew, so that it can send.

        :param account_id: which one.
        :return: the account as it is now.
        :raises KeyError: if there is no such account.
        """
        return self._state.reconnect(account_id).model_dump()

    def reconnect_all(self) -> int:
        """
        Reconnect every account whose status is ``credentials``.

        :return: how many.
        """
        return self._state.reconnect_all()

    def set_key(self, *, valid: bool = True, permitted: bool = True) -> None:
        """
        Set what the API key is good for; without arguments it is good again.

        :param valid: False: requests with it get 401 ``api_key_invalid``.
        :param permitted: False: requests with it get 403 ``permission_denied``.
        """
        self._state.set_key(KeyState(valid=valid, permitted=permitted))

    def revoke_key(self) -> None:
        """Make the API key invalid, as revoking it in Revor does."""
        self.set_key(valid=False)

    # Faults: each waits in one queue and happens to the next `times` API requests

    def fail(
        self,
        status: int,
        *,
        code: str | None = None,
        message: str | None = None,
        retry_after: float | str | None = None,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """
        Answer with an error in Revor's envelope.

        :param status: the HTTP status, 400 to 599.
        :param code: Revor's code; left out: the one that goes with the status.
        :param message: a sentence for people; left out: the code's own.
        :param retry_after: the header ``Retry-After``: seconds, or any text such as an HTTP date.
        :param headers: more headers.
        :param times: how many requests, 1 by default.
        :raises ValueError: if the answer can't be sent.
        """
        more = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._state.add_fault(
            ErrorFault(status=status, code=code, message=message, headers={**(headers or {}), **more}, times=times)
        )

    def answer(
        self,
        status: int = 200,
        body: object = "",
        headers: Mapping[str, str] | None = None,
        *,
        times: int = 1,
    ) -> None:
        """
        Answer with anything.

        :param status: the HTTP status, 200 to 599.
        :param body: text, sent as it is; anything else is sent as JSON.
        :param headers: the headers; without a ``Content-Type``, that is text/plain or application/json.
        :param times: how many requests, 1 by default.
        :raises ValueError: if the answer can't be sent.
        """
        headers = dict(headers or {})
        if not isinstance(body, str):
            body = json.dumps(body)
            if "content-type" not in map(str.lower, headers):
                headers["Content-Type"] = "application/json"
        self._state.add_fault(AnswerFault(status=status, body=body, headers=headers, times=times))

    def drop(self, *, times: int = 1) -> None:
        """
        Close the connection before any byte of an answer.

        :param times: how many requests, 1 by default.
        """
        self._state.add_fault(DropFault(times=times))

    def truncate(self, *, times: int = 1) -> None:
        """
        Close the connection half-way through the normal answer.

        :param times: how many requests, 1 by default.
        """
        self._state.add_fault(TruncateFault(times=times))

    def slow(self, seconds: float, *, times: int = 1) -> None:
        """
        Wait before the normal answer is made.

        Such a request is counted as it comes in, others as they are answered.

        :param seconds: how long, at most 3600.
        :param times: how many requests, 1 by default.
        """
        self._state.add_fault(SlowFault(seconds=seconds, times=times))

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        self._state.clear_faults()

    # Requests

    @property
    def requests(self) -> list[RequestRecord]:
        """The latest 1000 API requests, oldest first; they have a method, path, query, status and more."""
        return self._state.requests().items

    @property
    def request_count(self) -> int:
        """How many API requests there were since the start or the last reset."""
        return self._state.requests().total

    def reset_requests(self) -> None:
        """Start counting from 0."""
        self._state.reset_requests()

    def wait_for_requests(self, count: int, timeout: float = 10.0) -> None:
        """
        Wait until so many API requests were counted; no change after that changes their answers.

        :param count: how many, since the start or the last reset.
        :param timeout: the longest wait, in seconds.
        :raises TimeoutError: if there are fewer by then.
        """
        self._state.wait_for_requests(count, timeout)
