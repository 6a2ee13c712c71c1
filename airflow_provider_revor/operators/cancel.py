"""Cancelling an outreach job that has not begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_revor.api.jobs import parse_job_id
from airflow_provider_revor.exceptions import RevorJobError, RevorJobFailedError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.tasks.failures import ExplainsFailures
from airflow_provider_revor.tasks.templates import check_switch, is_known
from airflow_provider_revor.typing import BaseOperatorArgs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.typing import OrXCom


class CancelOutreachJobOperator(ExplainsFailures, BaseOperator):
    """
    Cancel an outreach job, if it has not begun. It takes a connection whose ``api_version`` is ``v2``.

    Revor guarantees it only while the job is ``queued`` or ``scheduled``. Pushes the job's dict, as it stands after the
    cancel.

    Source: ``POST /api/v2/jobs/{id}/cancel``, ``GET /api/v2/jobs/{id}``.

    :param job_id: The job: what :class:`.OutreachDispatchOperator` pushes as the XCom ``job_id``. (templated)
    :param must_cancel: Whether a job that was not cancelled fails the task; if it runs or has ended, without retries.
        Default: False.
    :param revor_conn_id: The Airflow connection, of the type ``revor``. Default: ``revor_default``. (templated)
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if ``job_id`` is literal and names no job.
    """

    template_fields: Sequence[str] = ("revor_conn_id", "job_id")
    ui_color = "#e6ddf7"

    # Templated: another task's output until it is rendered.
    job_id: Any
    revor_conn_id: Any

    def __init__(
        self,
        *,
        job_id: OrXCom[str | int],
        must_cancel: bool = False,
        revor_conn_id: OrXCom[str] = "revor_default",
        **kwargs: Unpack[BaseOperatorArgs],
    ) -> None:
        super().__init__(**kwargs)
        if is_known(job_id):
            parse_job_id(job_id)
        self.job_id = job_id
        self.must_cancel = check_switch("must_cancel", must_cancel)
        self.revor_conn_id = revor_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Cancel the job, and read how it stands.

        :return: The job's dict.
        :raises RevorConfigurationError: if the connection says API v1, which cannot cancel.
        :raises RevorJobFailedError: with ``must_cancel``, if the job runs or has ended.
        :raises RevorJobError: with ``must_cancel``, if Revor accepts the cancel, and the job is not cancelled yet.
        :raises RevorError: if Revor cannot be asked or refuses; see :mod:`airflow_provider_revor.exceptions`.
        """
        with RevorHook(self.revor_conn_id) as hook:
            job = hook.cancel_outreach_job(self.job_id)
        if job.status == "cancelled":
            self.log.info("%s.", job.label)
        elif self.must_cancel:
            reason = f"{job.label} on connection {self.revor_conn_id!r}: it was not cancelled."
            if job.can_be_cancelled:
                raise RevorJobError.of(reason, "Try again: Revor may need a moment for it.")
            raise RevorJobFailedError.of(
                reason, "Revor cancels only jobs that have not begun: allow for that with must_cancel=False."
            )
        else:
            self.log.info("%s: it was not cancelled.", job.label)
        return job.as_dict()
