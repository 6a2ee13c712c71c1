"""The outreach jobs of a sandbox: how they come about, how they go and what they send."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from airflow_provider_revor.sandbox.errors import ApiError
from airflow_provider_revor.sandbox.models import Account
from airflow_provider_revor.sandbox.outreach_bodies import Task
from airflow_provider_revor.sandbox.outreach_job import OutreachJob
from airflow_provider_revor.sandbox.outreach_models import Job, JobFinish, JobReceipt, JobScript, OutboxEntry


class UnknownJobError(KeyError):
    """There is no job of this id."""

    def __str__(self) -> str:
        return f"no job {self.args[0]!r} in the sandbox"


class Outreach:
    """
    The jobs, what is scripted for those to come, and the idempotency keys. Every method is safe in any thread.

    :param list_accounts: tells the accounts there are at the moment.
    """

    def __init__(self, list_accounts: Callable[[], list[Account]]) -> None:
        self._list_accounts = list_accounts
        self._lock = threading.Lock()
        self._jobs: dict[str, OutreachJob] = {}
        self._scripts: list[JobScript] = []
        self._standing_scripts: list[JobScript] = []
        self._by_key: dict[tuple[str, str], tuple[str, OutreachJob]] = {}

    def create(self, task: Task, path: str, idempotency_key: str | None) -> JobReceipt:
        """
        Make the job of a task, or find the one that was made of it before.

        :param task: what is to be done.
        :param path: the path that it was posted to.
        :param idempotency_key: the request's key; None or empty: it has none.
        :return: the job as it was when it was made.
        :raises ApiError: if the key was used with another body, or the account does not fit.
        """
        body = json.dumps(task.body, sort_keys=True)  # the order of fields makes no other body: the sandbox's choice
        with self._lock:
            if idempotency_key and (known := self._by_key.get((path, idempotency_key))):
                known_body, job = known
                if known_body != body:
                    raise ApiError("idempotency_conflict")
                return job.receipt()
            job = self._make(task, self._choose_account(task).account_id, idempotency_key or None)
            self._jobs[job.id] = job
            if idempotency_key:
                self._by_key[path, idempotency_key] = body, job
            return job.receipt()

    def _choose_account(self, task: Task) -> Account:
        accounts = self._list_accounts()
        if task.account_id is None:
            usable = [each for each in accounts if each.channel == task.channel and _unfit(each) is None]
            if len(usable) != 1:
                raise ApiError("account_id_required")
            return usable[0]
        account = next((each for each in accounts if each.account_id == task.account_id), None)
        if account is None:
            raise ApiError("account_not_found")
        if account.channel != task.channel:
            raise ApiError("account_channel_mismatch")
        if code := _unfit(account):
            raise ApiError(code)
        return account

    def _make(self, task: Task, account_id: str, idempotency_key: str | None) -> OutreachJob:
        script = self._next_script(task)
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

    def _next_script(self, task: Task) -> JobScript:
        for number, script in enumerate(self._scripts):
            if _fits(script, task):
                if script.times == 1:
                    del self._scripts[number]
                elif script.times:
                    self._scripts[number] = script.model_copy(update={"times": script.times - 1})
                return script
        return next((script for script in reversed(self._standing_scripts) if _fits(script, task)), JobScript())

    def script(self, script: JobScript) -> None:
        """
        Tell how the next jobs go.

        :param script: how; one for all jobs from now on comes after those for some, and before older ones of its kind.
        """
        with self._lock:
            (self._standing_scripts if script.times is None else self._scripts).append(script)

    def job(self, job_id: str) -> Job:
        """
        Find a job.

        :param job_id: which one.
        :return: the job as it is now.
        :raises KeyError: if there is no such job.
        """
        with self._lock:
            return self._find(job_id).view(datetime.now(UTC))

    def _find(self, job_id: str) -> OutreachJob:
        if job_id not in self._jobs:
            raise UnknownJobError(job_id)
        return self._jobs[job_id]

    def finish(self, job_id: str, ending: JobFinish) -> Job:
        """
        End a job now.

        :param job_id: which one.
        :param ending: how.
        :return: the job as it is now.
        :raises KeyError: if there is no such job.
        :raises ValueError: if it has ended already, or is a dispatch, which can't be skipped.
        """
        with self._lock:
            job = self._find(job_id)
            now = datetime.now(UTC)
            job.finish(ending, now)
            return job.view(now)

    def jobs(self) -> list[Job]:
        """
        List the jobs.

        :return: all of them as they are now, oldest first.
        """
        with self._lock:
            now = datetime.now(UTC)
            return [job.view(now) for job in self._jobs.values()]

    def outbox(self) -> list[OutboxEntry]:
        """
        List what was sent or still will be.

        :return: an entry for each job but those that failed, were cancelled or found nothing; oldest first.
        """
        with self._lock:
            now = datetime.now(UTC)
            return [job.entry(now) for job in self._jobs.values() if job.sends(now)]

    def reset(self) -> None:
        """Forget the jobs and what they sent, the idempotency keys and what is scripted."""
        with self._lock:
            self._jobs.clear()
            self._by_key.clear()
            self._scripts.clear()
            self._standing_scripts.clear()


def _unfit(account: Account) -> str | None:
    if account.status == "credentials":
        return "account_reconnect_required"
    if account.status == "error" or not account.can_send:
        return "account_unavailable"
    return None


def _fits(script: JobScript, task: Task) -> bool:
    if script.status == "skipped" and task.action == "outreach.dispatch":
        return False
    return script.recipient in (None, task.address)
