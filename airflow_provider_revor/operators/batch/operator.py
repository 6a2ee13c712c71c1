"""Outreach to many people in one task: each once, one trigger for all, a summary at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_revor.api.checks import interval_bounds
from airflow_provider_revor.exceptions import RevorBatchError, RevorBatchFailedError, RevorError, RevorValueError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.metrics import count_messages
from airflow_provider_revor.operators.arguments import Interval, OutreachArgs
from airflow_provider_revor.operators.base import OutreachOperator
from airflow_provider_revor.operators.batch.campaign import already_reached, note_ends
from airflow_provider_revor.operators.batch.memory import BatchMemory
from airflow_provider_revor.operators.batch.sending import BatchSender
from airflow_provider_revor.operators.batch.waiting import BatchWait
from airflow_provider_revor.operators.sending import this_try
from airflow_provider_revor.rules.batch import unpack
from airflow_provider_revor.rules.campaign import campaign_name
from airflow_provider_revor.rules.messages import check_list, read_messages, rows_of
from airflow_provider_revor.rules.outcomes import (
    MaxFailed,
    Row,
    check_max_failed,
    describe,
    sent_before,
    verdict,
)
from airflow_provider_revor.rules.preview import preview
from airflow_provider_revor.rules.sending import BatchTry
from airflow_provider_revor.tasks.templates import check_switch, is_known
from airflow_provider_revor.triggers.batch import JOBS
from airflow_provider_revor.triggers.xcoms import TaskXComs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.rules.messages import Batch, Message
    from airflow_provider_revor.typing import OrXCom, OutreachMessage


class OutreachBatchOperator(BatchWait):
    """
    Send messages to many people, each once and only once, and wait in one trigger until all have been sent.

    All messages are checked before the first is sent. Each person is then sent to by the same rule, and with the same
    idempotency keys, as by :class:`.OutreachDispatchOperator`: who is in the list twice gets one message, and a retry
    or a clear sends again only what the rule allows. A try that was cut short is resumed by the next one: on Airflow
    3.3+ by what it recorded in the task state store, on older ones by the keys.

    Sending is paced by Revor's ``X-RateLimit-…`` headers and obeys ``Retry-After``. An error that concerns one message,
    such as an unknown account, is that message's failure. One that concerns all, such as a rejected API key, ends the
    try.

    The XCom ``return_value`` is a summary: ``total``, ``sent``, ``accepted``, ``skipped`` and ``failed``, the same
    ``by_account`` and ``by_channel``, and the failed and skipped ones ``by_code`` with their ``references``. The XCom
    ``jobs`` is a row for each message: ``reference``, ``account_id``, ``channel``, ``job_id``, ``status``, ``code``,
    ``interval`` and more. Neither holds anything personal, unless a reference does. Both are there if the task fails,
    too. The trigger works from the XComs ``jobs`` and ``jobs_ended``, so ``do_xcom_push=False`` leaves out the summary
    alone.

    Source: ``POST /api/v1/outreach/dispatches`` — Create Outreach Dispatch, ``GET /api/v1/outreach/jobs/{id}`` — Check
    an Outreach Job.

    :param messages: A list of at most 10,000 dicts with ``account_id``, ``channel``, ``recipient``, ``content`` and
        maybe ``metadata``, as :class:`.OutreachDispatchOperator` takes them, and maybe a ``reference``: your name for
        the person in results and logs, such as a CRM id. (templated)
    :param min_channel_task_interval_seconds: As for :class:`.OutreachDispatchOperator`; a pair draws a number for each
        person. Default: ``(180, 360)``, as Revor advises. (templated)
    :param campaign: As for :class:`.OutreachDispatchOperator`. Whoever was written to before is skipped, with the code
        ``already_written_to``, or ``already_failed`` if that message failed, and the time in the row's
        ``already_sent_at``. Default: None. (templated)
    :param exclude: As for :class:`.OutreachDispatchOperator`: skipped, with the code ``excluded``. Default: None.
        (templated)
    :param on_invalid: What to do about messages that cannot be sent as they are: ``fail`` before anything is sent, or
        ``skip`` them. Default: ``fail``.
    :param max_failed: How many messages may fail: a number, or a share such as 0.1 of those that were not skipped.
        Above it, or if nothing was sent, the task fails with the summary as its message. Default: 0.
    :param preview: Whether to send nothing, and return what would be sent: how many ``to_send`` by account and channel,
        when the first and the last are expected at the given intervals, and who is skipped and why. Default: False.
    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param wait_for_completion: Whether to wait until all jobs have ended; else the task ends once Revor has accepted
        all messages. Default: True.
    :param poke_interval: Seconds, or a timedelta, from when a job may begin to the first look at it; the pauses
        between further looks grow up to an hour. Default: 60.
    :param max_requests_per_minute: The most requests a minute while waiting, for all jobs together. Default: 60.
    :param timeout: How many seconds a try waits for the jobs at the most, or a timedelta; None for Airflow's
        ``[sensors] default_timeout``. Default: None.
    :param notify_after: As for :class:`.OutreachDispatchOperator`; at the earliest when all messages are sent, and the
        task waits for their jobs. Default: None.
    :param on_waiting_callback: As for :class:`.SendableAccountSensor`: ``revor_wait`` in its context says how many jobs
        have ended, and how. Default: None.
    :param cancel_on_kill: Whether to cancel the jobs that have not begun when a person marks the task as failed or
        clears it while it waits; a cleared task then sends again to those people. Airflow leaves some seconds for it:
        jobs that are not reached are logged, and cancelled when the task is cleared. It takes a connection whose
        ``api_version`` is ``v2``. Default: False.
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if an argument cannot be used.
    """

    template_fields: Sequence[str] = (*OutreachOperator.template_fields, "messages")
    template_fields_renderers: ClassVar[dict[str, str]] = {"messages": "json"}

    # Templated: another task's output until it is rendered.
    messages: Any

    def __init__(
        self,
        *,
        messages: OrXCom[Sequence[OutreachMessage]],
        min_channel_task_interval_seconds: Interval = (180, 360),
        on_invalid: Literal["fail", "skip"] = "fail",
        max_failed: MaxFailed = 0,
        preview: bool = False,
        max_requests_per_minute: float = 60.0,
        **kwargs: Unpack[OutreachArgs],
    ) -> None:
        super().__init__(min_channel_task_interval_seconds=min_channel_task_interval_seconds, **kwargs)
        if on_invalid not in ("fail", "skip"):
            raise RevorValueError(f"on_invalid={on_invalid!r}: use 'fail' or 'skip'.")
        if not max_requests_per_minute > 0:
            raise RevorValueError(f"max_requests_per_minute={max_requests_per_minute!r}: use a number above 0.")
        if is_known(messages):
            check_list(messages)
        self.messages = messages
        self.on_invalid = on_invalid
        self.max_failed = check_max_failed(max_failed)
        self.preview = check_switch("preview", preview)
        self.max_requests_per_minute = max_requests_per_minute

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Send all messages, or find the jobs of those that an earlier try sent, and wait for their ends.

        :return: The summary; for a preview, what would be sent.
        :raises RevorValueError: (a ValueError) if a message cannot be sent as it is; before any request.
        :raises RevorConfigurationError: with ``cancel_on_kill``, if the connection says API v1, which cannot cancel;
            before any request.
        :raises RevorBatchError: if more messages failed than ``max_failed`` allows, or none was sent.
        :raises RevorBatchFailedError: the same, if a retry would send none of them; the task fails without retries.
        :raises RevorJobTimeoutError: if the jobs have not ended in time.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        began = time.time()
        batch = self._read(context)
        if self.on_invalid == "fail":
            batch.refuse()
        if batch.problems:
            self.log.warning("Skipping invalid messages. %s", batch.told_problems())
        current = this_try(context, self.retries or 0, BatchTry)
        memory = BatchMemory(context, self.log)
        if campaign := self._campaign(context):
            batch = batch.without(already_reached(batch, campaign, memory, current, previews=self.preview))
        if self.preview:
            seen = preview(batch, began)
            self.log.info("Nothing is sent. To send: %s of %s messages.", f"{seen['to_send']:,}", f"{batch.total:,}")
            return seen
        # Without retries of the hook's own: the batch slows down for all messages that follow.
        with RevorHook.for_polling(self.revor_conn_id) as hook:
            if self.cancel_on_kill:
                hook.check_can_cancel()
            waits = self.wait_for_completion
            cancels = self.cancel_on_kill and waits
            sender = BatchSender(hook, memory, current, self.log, waits=waits, cancels=cancels, campaign=campaign)
            self._task, self._sender = TaskXComs.of(context), sender
            try:
                rows = self._send(context, sender, batch)
                if waits and any(row.waits for row in rows):
                    self._defer(context, rows, began)
            except (Exception, AirflowTaskTimeout):
                if not sender.stopped:
                    memory.keep_jobs()
                raise
        self._note_ends(context, memory, rows, batch.messages)
        return self._conclude(context, rows)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """
        Go on with what the trigger found.

        :param event: The payload of :class:`.OutreachBatchTrigger`.
        :return: The summary.
        :raises RevorError: as :meth:`execute` does.
        :raises AirflowTaskTimeout: if ``execution_timeout`` was over first.
        """
        jobs = TaskXComs.of(context).get(JOBS)
        if not isinstance(jobs, list):
            raise RevorError.of(f"The XCom {JOBS!r} of this task is gone.", "Try again: nothing is sent twice.")
        ends = unpack(event["ends"])
        rows = [Row.from_dict(job) for job in jobs]
        rows = [ends[position].in_row(row) if position in ends else row for position, row in enumerate(rows)]
        memory = BatchMemory(context, self.log)
        memory.keep_ends({rows[position].job_id or "": end for position, end in ends.items()})
        self._note_ends(context, memory, rows)
        if event["status"] == "success":
            return self._conclude(context, rows)
        if event["status"] == "waiting":
            self._wait_on(context, rows, event)
        memory.keep_jobs()
        summary = self._push(context, rows)
        if event["status"] == "error":
            self.log.info("%s", describe(summary))
        raise self._why_not_ended(event, lambda limit: f"Not all jobs have ended within {limit}: {describe(summary)}")

    def _send(self, context: Context, sender: BatchSender, batch: Batch) -> list[Row]:
        try:
            sender.send(batch.messages, len(batch.skipped), batch.total)
        except (Exception, AirflowTaskTimeout):
            self._push(context, rows_of(batch, sender.rows))
            raise
        return rows_of(batch, sender.rows)

    def _read(self, context: Context) -> Batch:
        ti = context["ti"]
        return read_messages(
            self.messages,
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            campaign=campaign_name(self.campaign) if self._in_campaign else None,
            exclude=self._exclusion(),
            bounds=interval_bounds(self.min_channel_task_interval_seconds),
        )

    def _note_ends(
        self, context: Context, memory: BatchMemory, rows: Sequence[Row], messages: Sequence[Message] | None = None
    ) -> None:
        try:
            if not (campaign := self._campaign_to_note(context)):
                return
            if messages is None:
                messages = self._read(context).messages
        except RevorValueError:
            # While the task was deferred, the output that it was rendered from was generated again, or cleared.
            return
        note_ends(messages, rows, campaign, memory)

    def _conclude(self, context: Context, rows: Sequence[Row]) -> dict[str, Any]:
        summary = self._push(context, rows)
        why = verdict(summary, self.max_failed)
        ti, retry_may_help = context["ti"], any(row.retry_may_help for row in rows)
        if not (why and retry_may_help and ti.try_number <= ti.max_tries):
            # Else the next try counts them.
            count_messages(self.revor_conn_id, ((row.channel, row.outcome) for row in rows))
        if not rows:
            self.log.warning("The list of messages is empty: nothing is sent.")
            return summary
        if before := sent_before(rows):
            self.log.info("%s", before)
        if why:
            cls = RevorBatchError if retry_may_help else RevorBatchFailedError
            again = "A retry sends some of them again." if retry_may_help else "Fix the causes, then clear the task."
            raise cls.of(f"{why[0].upper()}{why[1:]}: {describe(summary)}", again)
        self.log.info("%s", describe(summary))
        return summary
