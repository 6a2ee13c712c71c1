"""The world as a whole: accounts, the API key and jobs, under one lock; the routes and ``Sandbox`` pass on to it."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import Unpack

from airflow_provider_revor.sandbox.contract.accounts import (
    BLOCKED,
    DEFAULT_ACCOUNTS,
    RECONNECTED,
    Account,
    AccountChanges,
    AccountSet,
    is_sendable,
)
from airflow_provider_revor.sandbox.contract.errors import ApiError, UnknownIdError
from airflow_provider_revor.sandbox.contract.outreach import Job, JobReceipt, Task
from airflow_provider_revor.sandbox.world import faults, jobs
from airflow_provider_revor.sandbox.world.clock import Clock, ClockChange, ClockState
from airflow_provider_revor.sandbox.world.faults import Fault
from airflow_provider_revor.sandbox.world.jobs import JobFinish, JobScript, OutboxEntry, OutreachJob
from airflow_provider_revor.sandbox.world.keys import FIRST_OWNER, Keys
from airflow_provider_revor.sandbox.world.memory import Memory, Write
from airflow_provider_revor.sandbox.world.queues import Queue
from airflow_provider_revor.sandbox.world.requests import RequestRecord, Requests

#: The sandbox keeps no more jobs, no more characters of their bodies, and no longer idempotency keys than these.
MAX_JOBS, MAX_KEPT, MAX_KEY = 100_000, 128 * 1024 * 1024, 1_000

_CHANGES = TypeAdapter(AccountChanges)


class World:
    """
    Everything that a sandbox knows. Every method is safe in any thread.

    :param api_key: the key that requests must carry.
    :param accounts: the first accounts, as for :meth:`set_accounts`; None: the default set.
    :param on_request: called with every API request, in the server's thread, before its response leaves.
    :param keep_intervals: whether jobs wait for others of their owner and channel.
    """

    def __init__(
        self,
        api_key: str,
        accounts: Iterable[Mapping[str, Any]] | None = None,
        on_request: Callable[[RequestRecord], None] | None = None,
        keep_intervals: bool = False,
    ) -> None:
        self.keys = Keys(api_key)
        self.faults: Queue[Fault] = Queue("faults", faults.MAX_FAULTS)
        self.scripts: Queue[JobScript] = Queue("scripts", jobs.MAX_SCRIPTS)
        self.requests = Requests(on_request)
        self._lock = threading.RLock()
        self._accounts: dict[str, dict[str, Account]] = {}
        self._clock = Clock()
        self._keep_intervals = keep_intervals
        self._last_starts: dict[tuple[str, str], datetime] = {}
        self._jobs: dict[str, OutreachJob] = {}
        self._kept = 0
        self.credits = 1_000
        self._memory = Memory()
        self.set_accounts(DEFAULT_ACCOUNTS if accounts is None else accounts)

    # Accounts

    def set_accounts(self, accounts: Iterable[Mapping[str, Any] | Account]) -> None:
        """Replace all accounts; ValueError if one is not right, and nothing is changed then."""
        by_id = AccountSet.model_validate(list(accounts)).by_id
        with self._lock:
            self._accounts[FIRST_OWNER] = by_id

    def accounts(
        self, channel: str | None = None, can_send: bool | None = None, *, owner: str = FIRST_OWNER
    ) -> list[Account]:
        """List an owner's accounts as they were set; None: of any channel, whether they can send or not."""
        with self._lock:
            return [
                account
                for account in self._accounts[owner].values()
                if channel in (None, account.channel) and can_send in (None, account.can_send)
            ]

    def update_account(self, account_id: str, **changes: Unpack[AccountChanges]) -> Account:
        """Change some fields of an account; KeyError if there is none, ValueError if a change is not right."""
        checked = _CHANGES.validate_python(changes)
        with self._lock:
            accounts = self._accounts[FIRST_OWNER]
            if account_id not in accounts:
                raise UnknownIdError(f"no account {account_id!r} in the sandbox")
            accounts[account_id] = Account.model_validate({**accounts[account_id].model_dump(), **checked})
            return accounts[account_id]

    def reconnect(self, account_id: str) -> Account:
        """Reconnect an account, as a person does in Revor's console; KeyError if there is none."""
        return self.update_account(account_id, **RECONNECTED)

    def block(self, account_id: str) -> Account:
        """Let the account's credentials expire, so that a person must reconnect it; KeyError if there is none."""
        return self.update_account(account_id, **BLOCKED)

    def reconnect_all(self) -> int:
        """Reconnect every account whose status is ``credentials``, and return how many."""
        with self._lock:
            waiting = [account for account in self.accounts() if account.status == "credentials"]
            for account in waiting:
                self.reconnect(account.account_id)
            return len(waiting)

    # Keys

    def add_key(self, api_key: str, accounts: AccountSet | None) -> None:
        """Add a key of the first owner, or with accounts of its own: of another owner."""
        with self._lock:
            owner = FIRST_OWNER if accounts is None else f"owner_{secrets.token_hex(8)}"
            self.keys.add(api_key, owner)
            if accounts is not None:
                self._accounts[owner] = accounts.by_id

    def forget_keys(self) -> None:
        """Forget the idempotency keys, and keep the jobs."""
        with self._lock:
            self._memory.clear()

    # The clock

    def clock(self, change: ClockChange | None = None) -> ClockState:
        """Change the clock, if asked to, and return its state; with an offset, all times of jobs are moved along."""
        with self._lock:
            if change and change.offset is not None:
                by = timedelta(seconds=change.offset) - self._clock.offset
                self._clock.offset += by
                for job in self._jobs.values():
                    job.shift(by)
                self._last_starts = {slot: start + by for slot, start in self._last_starts.items()}
            if change:
                self._clock.advance(timedelta(seconds=change.advance))
            return ClockState(now=self._clock.now(), offset=self._clock.offset.total_seconds())

    # Jobs

    def create_job(self, task: Task, request: Write) -> JobReceipt:
        """
        Create the job of a task, or find the one that was created under the key.

        :param task: what is to be done.
        :param request: who asked for it, where, and under which idempotency key.
        :return: the job as it was when it was created.
        :raises ApiError: if the key was used with another body, or the account does not fit.
        """
        if len(request.idempotency_key or "") > MAX_KEY:
            raise ApiError("invalid_request", f"The Idempotency-Key is longer than {MAX_KEY} characters.")
        body = json.dumps(task.body, sort_keys=True)  # the order of fields makes no other body: the sandbox's choice
        digest = hashlib.sha256(body.encode()).digest()
        with self._lock:
            if receipt := self._memory.recall(request, digest):
                return receipt
            if len(self._jobs) >= MAX_JOBS or self._kept + len(body) > MAX_KEPT:
                raise ApiError("sandbox_full")
            job = self._make_job(task, request, self._choose_account(task, request))
            self._jobs[job.id] = job
            self._kept += len(body)
            receipt = job.receipt()
            self._memory.keep(request, digest, receipt)
            return receipt

    def _choose_account(self, task: Task, request: Write) -> Account:
        if task.account_id is None:
            usable = [each for each in self.accounts(task.channel, owner=request.owner) if not _unfit(each, request)]
            if len(usable) != 1:
                raise ApiError("account_id_required")
            return usable[0]
        account = self._accounts[request.owner].get(task.account_id)
        if account is None:
            raise ApiError("account_not_found")
        if account.channel != task.channel:
            raise ApiError("account_channel_mismatch")
        if code := _unfit(account, request):
            raise ApiError(code)
        return account

    def _make_job(self, task: Task, request: Write, account: Account) -> OutreachJob:
        script = self.scripts.take(lambda script: script.fits(task)) or JobScript()
        now = self._clock.now()
        start = now + timedelta(seconds=script.scheduled_in)
        if self._keep_intervals:
            last = self._last_starts.get((request.owner, task.channel))
            start = max(start, last + timedelta(seconds=task.min_channel_task_interval_seconds)) if last else start
            self._last_starts[request.owner, task.channel] = start
        return OutreachJob(
            id=f"job_{secrets.token_hex(8)}",
            message_id=f"msg_{secrets.token_hex(8)}",
            owner=request.owner,
            task=task,
            account_id=account.account_id,
            idempotency_key=request.idempotency_key,
            created_at=now,
            scheduled_at=start,
            starts_at=start,
            settles_at=None if script.after is None else start + timedelta(seconds=script.after),
            outcome=script.status,
            error=script.error,
        )

    def job(self, job_id: str, owner: str) -> Job:
        """Return an owner's job as it is now; KeyError if there is none."""
        with self._lock:
            return self._find(job_id, owner).view(self._clock.now())

    def cancel_job(self, job_id: str, owner: str) -> Job:
        """Cancel an owner's job, as a client may; KeyError if there is none, ApiError if it can't be cancelled."""
        with self._lock:
            job, now = self._find(job_id, owner), self._clock.now()
            job.cancel(now)
            return job.view(now)

    def finish_job(self, job_id: str, ending: JobFinish) -> Job:
        """End a job now; KeyError if there is none, ValueError if it can't end so."""
        with self._lock:
            job, now = self._find(job_id), self._clock.now()
            job.finish(ending, now)
            return job.view(now)

    def _find(self, job_id: str, owner: str | None = None) -> OutreachJob:
        job = self._jobs.get(job_id)
        if job is None or owner not in (None, job.owner):
            raise UnknownIdError(f"no job {job_id!r} in the sandbox")
        return job

    def jobs(self) -> list[Job]:
        """List all jobs as they are now, oldest first."""
        with self._lock:
            now = self._clock.now()
            return [job.view(now) for job in self._jobs.values()]

    def outbox(self) -> list[OutboxEntry]:
        """List what was sent or still will be, oldest first."""
        with self._lock:
            now = self._clock.now()
            return [job.entry(now) for job in self._jobs.values() if job.sends(now)]

    def overview(self, most: int) -> dict[str, Any]:
        """Return the accounts and faults in their order, outbox, jobs and requests from the newest, so many of each."""
        requests, faults = self.requests.read(), self.faults.read()
        with self._lock:
            now = self._clock.now()
            accounts = self.accounts()
            newest = list(reversed(self._jobs.values()))
            sent = [job for job in newest if job.sends(now)]
            return {
                "accounts": {
                    "total": len(accounts),
                    "items": [{**each.model_dump(), "sendable": is_sendable(each)} for each in accounts[:most]],
                },
                "outbox": {"total": len(sent), "items": [job.entry(now) for job in sent[:most]]},
                "jobs": {"total": len(newest), "items": [job.view(now) for job in newest[:most]]},
                "faults": {"total": len(faults), "items": faults[:most]},
                "requests": {"total": requests.total, "items": requests.items[: -most - 1 : -1]},
            }

    def reset_jobs(self) -> None:
        """Forget the jobs and what they sent, the idempotency keys and the scripts."""
        with self._lock:
            self._jobs.clear()
            self._kept = 0
            self._memory.clear()
            self.scripts.clear()
            self._last_starts.clear()


def _unfit(account: Account, request: Write) -> str | None:
    # In v2, `can_send` alone decides, and the status only explains.
    if is_sendable(account) or (account.can_send and request.path.startswith("/api/v2/")):
        return None
    return "account_reconnect_required" if account.status == "credentials" else "account_unavailable"
