"""A verdict on many outreach jobs: how many messages were sent, which failed and why, and whether that is too many."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_revor.api.accounts import is_nothing
from airflow_provider_revor.exceptions import RevorBatchFailedError, RevorValueError
from airflow_provider_revor.rules.outcomes import (
    DUPLICATE,
    MaxFailed,
    Row,
    check_max_failed,
    describe,
    summarize,
    verdict,
)
from airflow_provider_revor.tasks.failures import ExplainsFailures
from airflow_provider_revor.typing import BaseOperatorArgs

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_provider_revor.typing import OrXCom


class OutreachSummaryOperator(ExplainsFailures, BaseOperator):
    """
    Sum up what became of messages, and fail if too many of them failed or none was sent.

    It runs whatever became of the tasks before (``trigger_rule="all_done"``), so a run in which messages failed does
    not look like a success. It logs and returns a summary: ``total``, ``sent``, ``accepted`` (their jobs go on),
    ``skipped`` and ``failed``, the same ``by_account`` and ``by_channel``, and the failed and skipped ones ``by_code``
    with their ``references``: your own for the rows of a batch, else the ids of the jobs. A lead that was in a mapped
    list twice counts once; the second one is skipped, as ``duplicate_person``. The XCom is there if it fails, too.

    :param jobs: The jobs: the output of a mapped :class:`.OutreachDispatchOperator` or
        :class:`.LinkedInPostLikeOperator`, or the XCom ``jobs`` of an :class:`.OutreachBatchOperator`, or a list of
        such outputs. Mapped tasks with ``do_xcom_push=False`` leave none, and look like tasks that sent nothing.
        (templated)
    :param expected: How many messages there should be, as a number or as the list that was mapped over. A task that
        failed before Revor accepted its message, or did not run, leaves no job, so that without this nobody would miss
        it: each that is missing counts as failed, with the code ``no_job``. Where none is expected, as from an empty
        list, a run that sends nothing is a success. Default: None, as many as there are jobs, at least one. (templated)
    :param max_failed: How many may fail: a number, or a share such as 0.1 of those that were not skipped. Default: 0.
    :raises RevorValueError: (a ValueError) when the Dag is parsed, if an argument cannot be used.
    """

    template_fields: Sequence[str] = ("jobs", "expected")
    ui_color = "#e6ddf7"

    # Templated: another task's output until it is rendered.
    jobs: Any
    expected: Any

    def __init__(
        self,
        *,
        jobs: OrXCom[Iterable[Mapping[str, Any]] | None],
        expected: OrXCom[Collection[Any] | int | None] = None,
        max_failed: MaxFailed = 0,
        **kwargs: Unpack[BaseOperatorArgs],
    ) -> None:
        kwargs.setdefault("trigger_rule", "all_done")
        super().__init__(**kwargs)
        self.jobs = jobs
        self.expected = expected
        self.max_failed = check_max_failed(max_failed)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """
        Begin a mapped task; Airflow makes its instances too late for them to have a trigger rule of their own.

        :param kwargs: The arguments that all of its instances have in common.
        """
        kwargs.setdefault("trigger_rule", "all_done")
        begun: OperatorPartial = super().partial(**kwargs)
        return begun

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Sum up.

        :return: The summary.
        :raises RevorValueError: (a ValueError) if something given is no job.
        :raises RevorBatchFailedError: if more failed than ``max_failed`` allows, or none was sent; without retries.
        """
        rows = list(_each_job_once(_row(position, job) for position, job in enumerate(_listed(self.jobs))))
        expected = None if is_nothing(self.expected) else _number(self.expected)
        if expected is not None:
            rows += [Row(status="failed", code="no_job")] * (expected - len(rows))
        summary = summarize(rows)
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=summary)
        if expected == 0 and not rows:
            self.log.warning("No message was expected, and none was sent.")
            return summary
        if why := verdict(summary, self.max_failed):
            advice = "Fix the causes, then clear the tasks that send; or allow for more with max_failed."
            if not any(row.job_id or row.status == "skipped" for row in rows):
                advice = f"No task has left a job; with do_xcom_push=False, none can. {advice}"
            raise RevorBatchFailedError.of(f"{why[0].upper()}{why[1:]}: {describe(summary)}", advice)
        self.log.info("%s", describe(summary))
        return summary


def _listed(jobs: Any) -> list[Any]:
    if jobs is None:
        # No mapped task has left an XCom.
        return []
    if isinstance(jobs, Mapping):
        if "by_code" in jobs:
            raise RevorValueError("jobs is the summary of a batch: use its XCom `jobs`, as in send.output['jobs'].")
        # The output of one task that is not mapped.
        return [jobs]
    if isinstance(jobs, str):
        raise RevorValueError(
            "jobs must be a list of jobs, not str. Pass the output of the tasks that send; a template takes "
            "render_template_as_native_obj=True."
        )
    if not isinstance(jobs, Iterable):
        raise RevorValueError(f"jobs must be a list of jobs, not {type(jobs).__name__}.")
    listed = []
    for job in jobs:
        # A list of outputs may have that of a mapped task in it.
        listed += _listed(job) if isinstance(job, Collection) and not isinstance(job, str) else [job]
    return [job for job in listed if job is not None]


def _row(position: int, job: Any) -> Row:
    if not isinstance(job, Mapping) or not isinstance(job.get("status"), str):
        raise RevorValueError(f"jobs[{position}] is no job: it has no `status`.")
    return Row.of_task(job)


def _each_job_once(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows; two mapped tasks that had the same lead have the same job, and only the first of them counts."""
    counted = set()
    for row in rows:
        if row.job_id is None or row.outcome == "skipped":
            yield row
        elif row.job_id in counted:
            yield replace(row, status="skipped", code=DUPLICATE)
        else:
            counted.add(row.job_id)
            yield row


def _number(expected: Any) -> int:
    if isinstance(expected, Collection) and not isinstance(expected, str | bytes):
        return len(expected)
    text = str(expected).strip()
    if isinstance(expected, bool) or not text.isdecimal():
        raise RevorValueError("expected must be a number of messages, or the list that was mapped over.")
    return int(text)
