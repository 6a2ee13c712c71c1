"""The world as a whole: accounts, the API key and jobs, under one lock; the routes and ``Sandbox`` pass on to it."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import Unpack

from airflow_provider_revor.sandbox.contract.accounts import DEFAULT_ACCOUNTS, Account, AccountChanges, AccountSet
from airflow_provider_revor.sandbox.contract.errors import ApiError
from airflow_provider_revor.sandbox.contract.outreach import Job, JobReceipt, Task
from airflow_provider_revor.sandbox.world.faults import Faults
from airflow_provider_revor.sandbox.world.jobs import JobFinish, JobScript, OutboxEntry, OutreachJob, Scripts
from airflow_provider_revor.sandbox.world.requests import RequestRecord, Requests

#: The sandbox keeps no more jobs, no more characters of their bodies, and no longer idempotency keys than these.
MAX_JOBS, MAX_KEPT, MAX_KEY = 100_000, 128 * 1024 * 1024, 1_000

_CHANGES = TypeAdapter(AccountChanges)
_RECONNECTED: AccountChanges = {"status": "ok", "lifecycle_status": "active", "can_send": True, "can_receive": True}


class KeyState(BaseModel):
    """What the API key is good for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    valid: bool = Field(default=True, description="`false`: requests with the key get 401 `api_key_invalid`.")
    permitted: bool = Field(default=True, description="`false`: requests with the key get 403 `permission_denied`.")


class UnknownIdError(KeyError):
    """There is no account, or no job, of this id."""

    def __str__(self) -> str:
        return str(self.args[0])


class World:
    """
    Everything that a sandbox knows. Every method is safe in any thread.

    :param api_key: the key that requests must carry.
    :param accounts: the first accounts, as for :meth:`set_accounts`; None: the default set.
    :param on_request: called with every API request, in the server's thread, before its response leaves.
    """

    def __init__(
        self,
        api_key: str,
        accounts: Iterable[Mapping[str, Any]] | None = None,
        on_request: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        self.api_key = api_key
        self.faults = Faults()
        self.requests = Requests(on_request)
        self._lock = threading.RLock()
        self._key = KeyState()
        self._accounts: dict[str, Account] = {}
        self._scripts = Scripts()
        self._jobs: dict[str, OutreachJob] = {}
        self._kept = 0
        self._by_key: dict[tuple[str, str], tuple[bytes, JobReceipt]] = {}
        self.set_accounts(DEFAULT_ACCOUNTS if accounts is None else accounts)

    # Accounts

    def set_accounts(self, accounts: Iterable[Mapping[str, Any] | Account]) -> None:
        """Replace all accounts; ValueError if one is not right, and nothing is changed then."""
        items = AccountSet.model_validate({"items": list(accounts)}).items
        with self._lock:
            self._accounts = {account.account_id: account for account in items}

    def accounts(self, channel: str | None = None, can_send: bool | None = None) -> list[Account]:
        """List accounts in the order in which they were set; None: of any channel, whether they can send or not."""
        with self._lock:
            return [
                account
                for account in self._accounts.values()
                if channel in (None, account.channel) and can_send in (None, account.can_send)
            ]

    def update_account(self, account_id: str, **changes: Unpack[AccountChanges]) -> Account:
        """Change some fields of an account; KeyError if there is none, ValueError if a change is not right."""
        checked = _CHANGES.validate_python(changes)
        with self._lock:
            if account_id not in self._accounts:
                raise UnknownIdError(f"no account {account_id!r} in the sandbox")
            account = Account.model_validate({**self._accounts[account_id].model_dump(), **checked})
            self._accounts[account_id] = account
            return account

    def reconnect(self, account_id: str) -> Account:
        """Reconnect an account, as a person does in Revor's console; KeyError if there is none."""
        return self.update_account(account_id, **_RECONNECTED)

    def reconnect_all(self) -> int:
        """Reconnect every account whose status is ``credentials``, and return how many."""
        with self._lock:
            waiting = [account for account in self._accounts.values() if account.status == "credentials"]
            for account in waiting:
                self.reconnect(account.account_id)
            return len(waiting)

    # The key

    def set_key(self, key: KeyState) -> None:
        """Set what the API key is good for."""
        self._key = key

    def check_key(self, key: str | None) -> None:
        """Let a request pass that carries this key; ApiError if it may not."""
        if not key:
            raise ApiError("api_key_missing")
        if key != self.api_key or not self._key.valid:
            raise ApiError("api_key_invalid")
        if not self._key.permitted:
            raise ApiError("permission_denied")

    # Jobs

    def create_job(self, task: Task, path: str, idempotency_key: str | None) -> JobReceipt:
        """
        Create the job of a task, or find the one that was created under the key.

        :param task: what is to be done.
        :param path: the path that it was posted to.
        :param idempotency_key: the request's key; None or empty: it has none.
        :return: the job as it was when it was created.
        :raises ApiError: if the key was used with another body, or the account does not fit.
        """
        if idempotency_key and len(idempotency_key) > MAX_KEY:
            raise ApiError("invalid_request", f"The Idempotency-Key is longer than {MAX_KEY} characters.")
        body = json.dumps(task.body, sort_keys=True)  # the order of fields makes no other body: the sandbox's choice
        digest = hashlib.sha256(body.encode()).digest()
        with self._lock:
            if idempotency_key and (known := self._by_key.get((path, idempotency_key))):
                known_digest, receipt = known
                if known_digest != digest:
                    raise ApiError("idempotency_conflict")
                return receipt
            if len(self._jobs) >= MAX_JOBS or self._kept + len(body) > MAX_KEPT:
                raise ApiError("sandbox_full")
            job = self._make_job(task, self._choose_account(task).account_id, idempotency_key or None)
            self._jobs[job.id] = job
            self._kept += len(body)
            if idempotency_key:
                self._by_key[path, idempotency_key] = digest, job.receipt()
            return job.receipt()

    def _choose_account(self, task: Task) -> Account:
        if task.account_id is None:
            usable = [each for each in self.accounts(task.channel) if _unfit(each) is None]
            if len(usable) != 1:
                raise ApiError("account_id_required")
            return usable[0]
        account = self._accounts.get(task.account_id)
        if account is None:
            raise ApiError("account_not_found")
        if account.channel != task.channel:
            raise ApiError("account_channel_mismatch")
        if code := _unfit(account):
            raise ApiError(code)
        return account

    def _make_job(self, task: Task, account_id: str, idempotency_key: str | None) -> OutreachJob:
        script = self._scripts.take(task)
        now = datetime.now(UTC)
        start = now + timedelta(seconds=script.scheduled_in)
        return OutreachJob(
            id=f"job_{secrets.token_hex(8)}",
            message_id=f"msg_{secrets.token_hex(8)}",
            task=task,
            account_id=account_id,
            idempotency_key=idempotency_key,
            created_at=now,
            scheduled_at=start,
            starts_at=start,
            settles_at=None if script.after is None else start + timedelta(seconds=script.after),
            outcome=script.status,
            error=script.error,
        )

    def script_jobs(self, script: JobScript) -> None:
        """Set how the next jobs go."""
        with self._lock:
            self._scripts.add(script)

    def job(self, job_id: str) -> Job:
        """Return a job as it is now; KeyError if there is none."""
        with self._lock:
            return self._find(job_id).view(datetime.now(UTC))

    def finish_job(self, job_id: str, ending: JobFinish) -> Job:
        """End a job now; KeyError if there is none, ValueError if it can't end so."""
        with self._lock:
            job, now = self._find(job_id), datetime.now(UTC)
            job.finish(ending, now)
            return job.view(now)

    def _find(self, job_id: str) -> OutreachJob:
        if job_id not in self._jobs:
            raise UnknownIdError(f"no job {job_id!r} in the sandbox")
        return self._jobs[job_id]

    def jobs(self) -> list[Job]:
        """List all jobs as they are now, oldest first."""
        with self._lock:
            now = datetime.now(UTC)
            return [job.view(now) for job in self._jobs.values()]

    def outbox(self) -> list[OutboxEntry]:
        """List what was sent or still will be, oldest first."""
        with self._lock:
            now = datetime.now(UTC)
            return [job.entry(now) for job in self._jobs.values() if job.sends(now)]

    def reset_jobs(self) -> None:
        """Forget the jobs and what they sent, the idempotency keys and the scripts."""
        with self._lock:
            self._jobs.clear()
            self._kept = 0
            self._by_key.clear()
            self._scripts.clear()


def _unfit(account: Account) -> str | None:
    if account.status == "credentials":
        return "account_reconnect_required"
    if account.status == "error" or not account.can_send:
        return "account_unavailable"
    return None
