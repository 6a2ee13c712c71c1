"""Waiting for the end of an outreach job that was made elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Unpack

from airflow.providers.common.compat.sdk import PokeReturnValue, conf

from airflow_provider_revor.api.jobs import OutreachJob, job_from_dict, parse_job_id
from airflow_provider_revor.api.text import clean_id
from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.metrics import count_job
from airflow_provider_revor.rules.pauses import job_pause
from airflow_provider_revor.sensors.base import WaitingSensor
from airflow_provider_revor.tasks.progress import job_question
from airflow_provider_revor.tasks.templates import is_known

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.triggers.outreach import OutreachJobTrigger
    from airflow_provider_revor.typing import OrXCom, WaitingSensorArgs


class OutreachJobSensor(WaitingSensor):
    """
    Wait until an outreach job has succeeded.

    A job that failed or was cancelled fails the task at once, without retries: it ends only once. Statuses that are not
    known here count as still running. A scheduled job is looked at at its time, and once an hour before. What heals by
    itself (rate limits, 5xx, network) is logged and waited out; what does not (400, 401, 403, 404, a connection that
    has no key) fails the task. A connection that Airflow does not find is waited out for five minutes.

    Pushes the job's dict, which holds nothing of the message.

    Source: ``GET /api/v1/outreach/jobs/{id}`` — Check an Outreach Job.

    :param job_id: The job: what :class:`.OutreachDispatchOperator` pushes as the XCom ``job_id``; for a mapped one,
        ``.expand(job_id=send.output.map(lambda job: job["id"]))``. (templated)
    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :param deferrable: Whether to wait in the triggerer, without a worker. Default: Airflow's
        ``[operators] default_deferrable``.
    :param end_on_worker: As for :class:`.SendableAccountSensor`. Default: False.
    :param notify_after: As for :class:`.SendableAccountSensor`. Default: None.
    :param on_waiting_callback: As for :class:`.SendableAccountSensor`. Default: None.
    :param log_every: As for :class:`.SendableAccountSensor`. Default: an hour.
    :param kwargs: What every sensor takes; ``poke_interval`` (seconds or a timedelta, default 60), ``timeout`` (seconds
        or a timedelta), ``soft_fail``, ``never_fail``, ``silent_fail`` and ``execution_timeout`` mean the same whether
        it pokes or is deferred; but a poking sensor, as any of Airflow's, looks at the clock only after a poke.
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if ``job_id`` is literal and names no job.
    """

    template_fields: Sequence[str] = ("revor_conn_id", "job_id")
    ui_color = "#e6ddf7"

    # Templated: another task's output until it is rendered.
    job_id: Any

    #: What the job is asked for by: the version of the API that the connection named at the first look.
    _api_version: str | None = None

    def __init__(
        self,
        *,
        job_id: OrXCom[str | int],
        revor_conn_id: OrXCom[str] = "revor_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        end_on_worker: bool = False,
        **kwargs: Unpack[WaitingSensorArgs],
    ) -> None:
        super().__init__(deferrable=deferrable, end_on_worker=end_on_worker, **kwargs)
        if is_known(job_id):
            parse_job_id(job_id)
        self.job_id = job_id
        self.revor_conn_id = revor_conn_id

    @property
    def _question(self) -> str:
        return job_question(self.job_id)

    @property
    def _unmet(self) -> str:
        return f"Outreach job {clean_id(str(self.job_id))} has not ended"

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """
        Ask Revor once.

        :return: The job's dict as the XCom value once it has succeeded; False until it has ended.
        :raises RevorJobFailedError: if it failed or was cancelled.
        :raises RevorError: for what waiting cannot heal.
        """
        self._not_before = None
        try:
            with RevorHook.for_polling(str(self.revor_conn_id), self._api_version) as hook:
                # What it began with: the connection may change meanwhile.
                self._api_version = self._api_version or hook.settings.api_version.value
                job = hook.get_outreach_job(self.job_id)
        except RevorError as e:
            self._wait_out(e)
            return self._look_again(e)
        self._wait_out(None)
        if job.ended:
            found = self._conclude(job)
            self.log.info("%s", job.ending)
            return PokeReturnValue(is_done=True, xcom_value=found)
        self._wait_log.waiting(job.standing)
        return self._look_again(job)

    def _look_again(self, poll: OutreachJob | Exception) -> bool:
        now = time.time()
        self._not_before = now + job_pause(poll, self.poke_interval, now)
        return False

    def _conclude(self, job: OutreachJob) -> dict[str, Any]:
        count_job(str(self.revor_conn_id), job)
        if job.failed:
            raise job.failure(str(self.revor_conn_id), for_good=True)
        return job.as_dict()

    def _succeed(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        return self._conclude(job_from_dict(event["job"]))

    def _wait_on(self, context: Context, event: dict[str, Any]) -> NoReturn:
        # This process has not looked.
        self._api_version = event.get("api_version")
        super()._wait_on(context, event)

    def _trigger(self, **wait: Any) -> OutreachJobTrigger:
        from airflow_provider_revor.triggers.outreach import OutreachJobTrigger

        self._warn_of_own_poke(OutreachJobSensor)
        return OutreachJobTrigger(
            job_id=str(self.job_id), revor_conn_id=str(self.revor_conn_id), api_version=self._api_version, **wait
        )
