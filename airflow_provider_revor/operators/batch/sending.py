"""Send the messages of a batch, each by the rule of sending, at the pace that Revor allows."""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_revor.api.errors import lacks_endpoint
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.exceptions import (
    RevorConflictError,
    RevorConnectionError,
    RevorError,
    RevorIdempotencyConflictError,
    RevorNotFoundError,
    RevorRateLimitError,
    RevorRequestError,
    RevorTransientError,
    RevorValueError,
)
from airflow_provider_revor.operators.batch.memory import OfOnePerson
from airflow_provider_revor.operators.campaign import PersonInCampaign
from airflow_provider_revor.operators.sending import OutreachSender
from airflow_provider_revor.rules.keys import digest
from airflow_provider_revor.rules.outcomes import JOB_UNKNOWN
from airflow_provider_revor.rules.pacing import Pace
from airflow_provider_revor.tasks.progress import ProgressLog

if TYPE_CHECKING:
    from airflow_provider_revor.hooks.revor import RevorHook
    from airflow_provider_revor.operators.batch.memory import BatchMemory
    from airflow_provider_revor.operators.campaign import Campaign
    from airflow_provider_revor.rules.messages import Message
    from airflow_provider_revor.rules.outcomes import Row
    from airflow_provider_revor.rules.sending import Attempt, BatchTry
    from airflow_provider_revor.version_compat import Log

T = TypeVar("T")

# These concern one message; the next one may well be accepted.
_OF_ONE_MESSAGE = (RevorNotFoundError, RevorConflictError, RevorRequestError, RevorValueError)
# Of the errors that may pass, these concern every message.
_OF_ALL_MESSAGES = (RevorRateLimitError, RevorConnectionError)

# So many first attempts are recorded together before the first of them is made.
_ANNOUNCED = 50
# So many errors in a row that may pass, and the try ends.
_MOST_ERRORS = 5
# Seconds. A longer wait is left to Airflow's retries, which need no worker for it.
_LONGEST_WAIT = 600.0
# Seconds between two writes of the records, and the wait before which they are written.
_SAVE_EVERY, _SAVE_BEFORE = 5.0, 5.0
# Seconds between two writes of a campaign's ledger, each of which may be 512 requests to Airflow's API server.
_ENTER_EVERY = 300.0


class BatchSender:
    """
    Send messages, or find their jobs, in one try of a batch.

    :param hook: A hook that does not retry by itself.
    :param memory: What earlier tries recorded.
    :param this_try: The try.
    :param log: The task's log.
    :param waits: Whether the jobs are waited for afterwards, so that it is learned then how they stand.
    :param cancels: Whether jobs are cancelled that a person meant to end, by clearing the task while it waited.
        Default: False.
    :param campaign: The campaign; None for none.
    """

    def __init__(
        self,
        hook: RevorHook,
        memory: BatchMemory,
        this_try: BatchTry,
        log: Log,
        *,
        waits: bool,
        cancels: bool = False,
        campaign: Campaign | None = None,
    ) -> None:
        self._hook = hook
        self._memory = memory
        self._try = this_try
        self._log = log
        self._waits = waits
        self._cancels = cancels
        self._version = hook.settings.api_version.value
        #: Set from outside, in the middle of whatever is done, to send no more.
        self.stopped = False
        self._campaign = campaign
        self._pace = Pace()
        self._began = self._next_request = self._saved_at = self._entered_at = time.monotonic()
        self._errors = 0
        self._sent_before = Counter[str]()
        #: What became of each message so far, by position.
        self.rows: dict[int, Row] = {}
        self._whos: dict[int, str] = {}
        self._found: set[str] = set()
        # The same of jobs of which Revor has not said how they stand.
        self._unknown: dict[int, Row] = {}

    def send(self, messages: Iterable[Message], skipped: int, total: int) -> None:
        """
        Send each message once, or find its job, and fill :attr:`rows`.

        :param messages: The messages, each to another person.
        :param skipped: How many others are skipped, for the log.
        :param total: How many there are in all, for the log.
        :raises RevorError: for an error that concerns all messages; what was sent is recorded.
        """
        queue, doubtful = deque(messages), set[int]()
        self._whos = {message.position: message.who for message in queue}
        counts, conflicts = Counter(skipped=skipped), Counter[str]()
        progress = ProgressLog(self._log, total, ("accepted", "skipped", "failed"), at_once=False)
        try:
            for number in itertools.count():
                if not queue:
                    break
                if self.stopped:
                    raise RevorError("A person has ended the task: nothing more is sent.")
                if number % _ANNOUNCED == 0:
                    self._memory.announce(map(self._first_attempt, itertools.islice(queue, _ANNOUNCED)))
                message = queue.popleft()
                try:
                    row = self._send_one(message)
                    self._errors = 0
                except _OF_ONE_MESSAGE as e:
                    if lacks_endpoint(e):
                        raise
                    if self._campaign and isinstance(e, RevorIdempotencyConflictError):
                        conflict = self._campaign.conflict(cleared=self._try.follows_clear)
                        conflicts[conflict.reason] += 1
                        row = conflict.row(message.row)
                    else:
                        row = self._failed(message, e)
                    self._errors = 0
                except RevorTransientError as e:
                    if message.position in doubtful and counts["accepted"]:
                        # Once again, while others were accepted.
                        row = self._failed(message, e)
                    else:
                        self._wait_after(e)
                        if isinstance(e, _OF_ALL_MESSAGES):
                            queue.appendleft(message)
                        else:
                            doubtful.add(message.position)
                            queue.append(message)
                        continue
                self.rows[message.position] = row
                counts[row.outcome if row.outcome in ("failed", "skipped") else "accepted"] += 1
                progress.update(counts, time.monotonic())
                if time.monotonic() > self._saved_at + _SAVE_EVERY:
                    self._save()
        finally:
            self.rows = {**self._unknown, **self.rows}
            self._save()
            self._enter(check=True)
        for reason, number in conflicts.items():
            self._log.warning("%s: %s", "1 person" if number == 1 else f"{number:,} people", reason)
        if before := self._sent_before["all"]:
            self._log.info("%s messages were sent before this try, and are not sent again.", f"{before:,}")
        if outdated := self._sent_before["outdated"]:
            self._log.warning("%s of these differ from what this task now holds.", f"{outdated:,}")

    def _send_one(self, message: Message) -> Row:
        name = digest(message.key)
        recorded, end = self._memory.recall(name), self._memory.end_of(name)
        body, memory, in_campaign = message.body, OfOnePerson(self._memory, name), None
        if self._campaign:
            in_campaign = PersonInCampaign(self._campaign, message.who, memory, at_once=False)
            in_campaign.first = self._first_attempt(message)

        def post(idempotency_key: str) -> OutreachJob:
            return self._paced(
                lambda: self._hook.create_outreach_dispatch(
                    str(body["account_id"]),
                    body["channel"],
                    body["recipient"],
                    body["content"],
                    metadata=body.get("metadata"),
                    min_channel_task_interval_seconds=message.row.interval,
                    idempotency_key=idempotency_key,
                )
            )

        def get(job_id: str) -> OutreachJob:
            if recorded and recorded.job_id == job_id:
                if end:
                    return end.as_job(job_id)
                if self._waits and not self._try.is_first_after(recorded):
                    # An earlier try crashed. Whoever is left is sent to first; the wait learns how this one stands.
                    return OutreachJob(job_id, "queued")
            return in_campaign.get(job_id, ask) if in_campaign else ask(job_id)

        def ask(job_id: str) -> OutreachJob:
            unknown = replace(message.row, job_id=job_id, status=JOB_UNKNOWN, retry_may_help=True)
            self._unknown[message.position] = unknown
            job = self._paced(lambda: self._hook.get_outreach_job(job_id))
            del self._unknown[message.position]
            return job

        def cancel(job_id: str) -> OutreachJob:
            return self._paced(lambda: self._hook.cancel_outreach_job(job_id))

        sender = OutreachSender(
            post=post,
            get=get,
            key=message.key,
            own_key=False,
            message=message.sent,
            conn_id=self._hook.revor_conn_id,
            memory=in_campaign or memory,
            log=self._log,
            # Where no key can have been used before, the wait learns how each job stands.
            confirm=not (self._waits and self._try.nothing_before and self._ledger_knows),
            version=self._version,
            use_version=partial(setattr, self._hook, "api_version"),
            cancel=cancel if self._cancels else None,
            in_campaign=in_campaign is not None,
            found_before=self._found,
        )
        sent = sender.send_once(self._try, self._began)
        if in_campaign and (skipped := in_campaign.skipped(sent, self._try)):
            return skipped.row(message.row)
        self._sent_before.update(all=sent.sent_before, outdated=sent.outdated)
        return message.row.with_job(sent.job, sent.version)

    @property
    def _ledger_knows(self) -> bool:
        """Whether a key that other tasks may have used is in the ledger; there are none outside of a campaign."""
        return self._campaign is None or self._campaign.has_ledger

    def _first_attempt(self, message: Message) -> Attempt:
        content = digest(message.sent)
        return self._try.first_attempt(digest(message.key), content, self._version, cancels=self._cancels)

    def _paced(self, request: Callable[[], T]) -> T:
        self._sleep(self._next_request - time.monotonic())
        try:
            return request()
        finally:
            # A rejected request counts against the limit, too.
            self._next_request = time.monotonic() + self._pace.after_response(self._hook.rate_limit)

    def _failed(self, message: Message, error: RevorError) -> Row:
        code = error.code or (f"http_{error.status_code}" if error.status_code else type(error).__name__)
        named = "" if message.row.reference is None else f" (reference {message.row.reference})"
        self._log.warning("messages[%s]%s: %s", message.position, named, error)
        row = self._unknown.get(message.position, message.row)
        return replace(row, code=code, retry_may_help=not isinstance(error, AirflowFailException))

    def _wait_after(self, error: RevorTransientError) -> None:
        self._errors += 1
        if self._errors > _MOST_ERRORS or (error.retry_after or 0) > _LONGEST_WAIT:
            raise error
        if isinstance(error, RevorRateLimitError):
            pause = self._pace.after_rejection(error.retry_after, self._hook.rate_limit)
        else:
            pause = error.retry_after or 2.0 ** (self._errors - 1)
        self._log.warning("Trying again in %.0f s: %s", pause, error)
        self._sleep(pause)
        self._next_request = time.monotonic()

    def _sleep(self, seconds: float) -> None:
        if seconds > _SAVE_BEFORE:
            self._save()
        if seconds > 0:
            time.sleep(seconds)

    def _save(self) -> None:
        self._memory.save()
        self._saved_at = time.monotonic()
        if self._saved_at > self._entered_at + _ENTER_EVERY:
            self._enter()

    def _enter(self, *, check: bool = False) -> None:
        """Write the campaign's ledger; whoever is in it by another task meanwhile is not this task's."""
        taken = self._campaign.save(check=check) if self._campaign else {}
        self._entered_at = time.monotonic()
        for position, row in list(self.rows.items()) if taken else ():
            entry = taken.get(self._whos[position])
            if self._campaign and entry and entry.job_id == row.job_id and row.outcome != "skipped":
                # The response to this task's own request says how the job stood when it was created.
                status = entry.end.status if entry.end else row.status
                self.rows[position] = self._campaign.skipped(row.job_id, entry.at, status).row(row)
