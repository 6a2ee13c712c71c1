"""Base class of the operators that make one job: one for each person, task and Dag run; and the wait for its end."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Unpack

from airflow.providers.common.compat.sdk import AirflowSkipException, AirflowTaskTimeout, conf

from airflow_provider_revor.api.accounts import is_nothing
from airflow_provider_revor.api.checks import interval_bounds
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.exceptions import RevorIdempotencyConflictError, RevorValueError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.metrics import count_job
from airflow_provider_revor.operators.arguments import Interval, OutreachArgs
from airflow_provider_revor.operators.base import OutreachOperator
from airflow_provider_revor.operators.campaign import PersonInCampaign
from airflow_provider_revor.operators.memory import AttemptMemory
from airflow_provider_revor.operators.sending import OutreachSender, this_try
from airflow_provider_revor.operators.waiting import JobWait
from airflow_provider_revor.rules.batch import End
from airflow_provider_revor.rules.campaign import Skipped
from airflow_provider_revor.rules.exclusion import person_digest
from airflow_provider_revor.rules.keys import fixed_choice, task_key
from airflow_provider_revor.rules.outcomes import EXCLUDED, Row
from airflow_provider_revor.rules.sending import Try
from airflow_provider_revor.tasks.progress import WaitLog, from_now, job_question
from airflow_provider_revor.tasks.templates import check_switch
from airflow_provider_revor.triggers.xcoms import TaskXComs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.typing import OrXCom


class OutreachJobOperator(JobWait):
    """Base class of the operators that make one job and wait for its end; see the subclasses for arguments."""

    template_fields: Sequence[str] = (*OutreachOperator.template_fields, "account_id", "idempotency_key")

    # Templated: another task's output until it is rendered.
    account_id: Any

    _channel: Any

    def __init__(
        self,
        *,
        account_id: OrXCom[str | None] = None,
        min_channel_task_interval_seconds: Interval = None,
        idempotency_key: OrXCom[str | None] = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        end_on_worker: bool = False,
        **kwargs: Unpack[OutreachArgs],
    ) -> None:
        super().__init__(min_channel_task_interval_seconds=min_channel_task_interval_seconds, **kwargs)
        if self._in_campaign and idempotency_key is not None:
            raise RevorValueError("Give either campaign or idempotency_key: a campaign has a key of its own.")
        self.account_id = account_id
        self.idempotency_key = idempotency_key
        self._own_key = idempotency_key is not None
        self.deferrable = check_switch("deferrable", deferrable)
        self.end_on_worker = check_switch("end_on_worker", end_on_worker)
        #: The record of the job, which says whether a clear cancels it.
        self._memory: AttemptMemory | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Send, or find the job of what an earlier try sent, and wait for its end.

        :return: The job's dict.
        :raises AirflowSkipException: if the person is in ``exclude``, or was already written to in the campaign.
        :raises RevorValueError: (a ValueError) if something is missing or mistyped; before any request.
        :raises RevorConfigurationError: with ``cancel_on_kill``, if the connection says API v1, which cannot cancel;
            before any request.
        :raises RevorIdempotencyConflictError: if something else was sent under the same idempotency key.
        :raises RevorNotFoundError: if Revor does not know the job that an earlier try created.
        :raises RevorJobError: if the job failed and Revor says that trying again may help.
        :raises RevorJobFailedError: if the job failed or was cancelled; the task fails without retries.
        :raises RevorJobTimeoutError: if the job has not ended in time.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        try:
            return self._execute(context, time.time())
        except (Exception, AirflowTaskTimeout):
            if self._memory and not self._is_killed:
                self._memory.keep_job()
            raise

    def _execute(self, context: Context, began: float) -> dict[str, Any]:
        job = self._send_once(context, began)
        if self.do_xcom_push:
            context["ti"].xcom_push(key="job_id", value=job.id)
        if not job.ended:
            wait_log = WaitLog(self.log, job_question(job.id))
            if self.wait_for_completion:
                wait_log.waiting(job.standing)
            else:
                self.log.info("%s", job.standing)
            if job.begins_at and job.begins_at > began:
                self.log.info("It begins %s.", from_now(job.begins_at))
            if not self.wait_for_completion:
                count_job(self.revor_conn_id, job)
                return job.as_dict()
            if self.deferrable:
                self._defer(context, job, began, wait_log)
            job = self._wait(context, job, began, wait_log)
        found = self._conclude(context, job)
        self.log.info("%s", job.ending)
        return found

    def _person(self) -> Mapping[str, Any]:
        """Return the recipient with all addresses that are known of the person, also those of other channels."""
        return self._recipient()

    @abstractmethod
    def _send(self, hook: RevorHook, interval: int | None, idempotency_key: str) -> OutreachJob:
        """Create the job, or return the one that this key created."""

    @abstractmethod
    def _message(self) -> dict[str, Any]:
        """Return all that is sent, apart from the interval."""

    def _send_once(self, context: Context, began: float) -> OutreachJob:
        """Return the job of this person: of this task and Dag run, or of this campaign."""
        ti = context["ti"]
        recipient = self._recipient()
        if self._person() in self._exclusion():
            self._skip(context, Skipped(EXCLUDED, "This person is in `exclude`: nothing is sent."))
        campaign = self._campaign(context)
        if self._own_key:
            if is_nothing(self.idempotency_key):
                # Under the key of this run, who got the message in another one would get it again.
                raise RevorValueError(
                    f"idempotency_key rendered to {self.idempotency_key!r}: it must say who gets what. Leave it out "
                    "for one message to each person in each Dag run."
                )
            key = str(self.idempotency_key).strip()
        else:
            key = campaign.key(recipient) if campaign else task_key(ti.dag_id, ti.run_id, ti.task_id, recipient)
        bounds = interval_bounds(self.min_channel_task_interval_seconds)
        interval = bounds and fixed_choice(key, *bounds)
        current = this_try(context, self.retries or 0, Try)
        memory = AttemptMemory.of_person(recipient, context, self.log)
        in_campaign = PersonInCampaign(campaign, person_digest(recipient), memory) if campaign else None
        if self.cancel_on_kill:
            self._memory = memory
        self._task = TaskXComs.of(context)

        def get(job_id: str) -> OutreachJob:
            self._job_id = job_id
            return in_campaign.get(job_id, hook.get_outreach_job) if in_campaign else hook.get_outreach_job(job_id)

        with RevorHook(self.revor_conn_id) as hook:
            if self.cancel_on_kill:
                hook.check_can_cancel()
            sender = OutreachSender(
                post=lambda attempt_key: self._send(hook, interval, attempt_key),
                get=get,
                key=key,
                own_key=self._own_key,
                message=[self._message(), interval],
                conn_id=self.revor_conn_id,
                memory=in_campaign or memory,
                log=self.log,
                version=hook.settings.api_version.value,
                use_version=partial(setattr, hook, "api_version"),
                cancel=hook.cancel_outreach_job if self.cancel_on_kill and self.wait_for_completion else None,
                in_campaign=in_campaign is not None,
            )
            if in_campaign:
                in_campaign.first = sender.first_attempt(current)
            try:
                sent = sender.send_once(current)
            except RevorIdempotencyConflictError:
                if campaign is None:
                    raise
                self._skip(context, campaign.conflict(cleared=current.follows_clear))
        job, self._job_version = sent.job, sent.version
        if in_campaign and (skipped := in_campaign.skipped(sent, current)):
            self._skip(context, skipped)
        if sent.outdated:
            self.log.warning("Nothing is sent: %s. What it sent differs from what this task now holds.", job.label)
        elif sent.sent_before:
            self.log.info("Nothing is sent: outreach job %s was created before this try.", job.id)
        if self.wait_for_completion and (job.begins_at or began) > began + self.timeout:
            self.log.warning("It is scheduled for %s: this try will not wait so long.", job.scheduled_at)
        return job

    def _skip(self, context: Context, skipped: Skipped) -> NoReturn:
        if self.do_xcom_push:
            # A summary of a mapped task counts it.
            account_id = str(self.account_id) if self.account_id else None
            row = skipped.row(Row(reference=skipped.job_id, account_id=account_id, channel=self._channel))
            context["ti"].xcom_push(key="return_value", value=row.as_dict())
        raise AirflowSkipException(skipped.reason)

    def _conclude(self, context: Context, job: OutreachJob) -> dict[str, Any]:
        count_job(self.revor_conn_id, job)
        self._note_end(context, job)
        if job.failed:
            if self.do_xcom_push:
                # A summary of a mapped task counts it.
                context["ti"].xcom_push(key="return_value", value=job.as_dict())
            raise job.failure(self.revor_conn_id)
        return job.as_dict()

    def _note_end(self, context: Context, job: OutreachJob) -> None:
        try:
            if not (campaign := self._campaign_to_note(context)):
                return
            recipient = self._recipient()
        except RevorValueError:
            # While the task was deferred, the output that it was rendered from was cleared.
            return
        recorded = AttemptMemory.of_person(recipient, context, self.log).recall()
        # While the task was deferred, its mapped list may have been generated again.
        if recorded and recorded.job_id == job.id:
            campaign.note_end(person_digest(recipient), recorded, End.of(job))
            campaign.save()
