"""The outcomes of many messages: a row for each, their counts, and whether too many failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, TypeAlias

from airflow_provider_revor.api.answers import plain_text
from airflow_provider_revor.api.jobs import OutreachJob, job_from_dict
from airflow_provider_revor.exceptions import RevorValueError

MaxFailed: TypeAlias = int | float

# How many references are named for each code: in the summary, and in a sentence.
_MOST_REFERENCES, _MOST_NAMED = 100, 5
_MOST_CODES = 10

#: Codes of skipped messages: a job that goes on or has succeeded; one that failed; somebody in ``exclude``; and
#: somebody who is in the list before.
ALREADY_WRITTEN_TO, ALREADY_FAILED, EXCLUDED = "already_written_to", "already_failed", "excluded"
DUPLICATE = "duplicate_person"

#: The status of a message whose job Revor did not find, or could not be asked for: it may have been sent.
JOB_UNKNOWN = "job_unknown"

_OUTCOMES = {
    "succeeded": "sent",
    "failed": "failed",
    "cancelled": "failed",
    JOB_UNKNOWN: "failed",
    "skipped": "skipped",
}


@dataclass(frozen=True, slots=True)
class Row:
    """
    The outcome of one message. It holds nothing personal, as long as the reference does not.

    :param reference: The author's name for the person, such as a CRM id.
    :param account_id: The account that it was, or would have been, sent from.
    :param channel: The channel.
    :param job_id: Its job; None if there is none.
    :param status: The job's status, or ``job_unknown`` if Revor did not find it or could not be asked; without a job,
        ``failed`` or ``skipped``.
    :param code: Why it failed or was skipped.
    :param interval: The ``min_channel_task_interval_seconds`` drawn for it; None for Revor's default.
    :param scheduled_at: When its job may begin, as Revor said when it was sent, by this machine's clock.
    :param retry_may_help: Whether it failed, and a retry of the task may send it.
    :param api_version: The API version that its job was made by; None if that is not known.
    :param already_sent_at: When an earlier message of the campaign was sent, for which this one is skipped.
    """

    reference: str | int | None = None
    account_id: str | None = None
    channel: str | None = None
    job_id: str | None = None
    status: str = "failed"
    code: str | None = None
    interval: int | None = None
    scheduled_at: str | None = None
    retry_may_help: bool = False
    api_version: str | None = None
    already_sent_at: str | None = None

    @property
    def outcome(self) -> str:
        """``sent``, ``failed``, ``skipped``, or ``accepted`` for a job that goes on."""
        return _OUTCOMES.get(self.status, "accepted")

    @property
    def waits(self) -> bool:
        """Whether its job goes on."""
        return self.job_id is not None and self.outcome == "accepted"

    @property
    def begins_at(self) -> float | None:
        """When its job may begin, in seconds since the epoch; None if it does not wait, or Revor did not say."""
        if not self.waits:
            return None
        return OutreachJob(self.job_id or "", "scheduled", scheduled_at=self.scheduled_at).begins_at

    def with_job(self, job: OutreachJob, api_version: str | None) -> Row:
        """
        Return the row of a message whose job is known.

        :param job: The job.
        :param api_version: The API version that it was made by; None if that is not known.
        """
        scheduled_at = job.scheduled_at
        # By this machine's clock where Revor's differs: the trigger waits by it.
        if job.clock_ahead and job.begins_at is not None:
            scheduled_at = datetime.fromtimestamp(job.begins_at, UTC).isoformat()
        return replace(
            self,
            job_id=job.id,
            status=job.status,
            code=job_code(job),
            scheduled_at=scheduled_at,
            retry_may_help=job.retry_may_help,
            api_version=api_version,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Row:
        """
        Return the row that :meth:`as_dict` wrote.

        :param value: Plain JSON.
        """
        return cls(**{name: value[name] for name in _FIELDS if name in value})

    @classmethod
    def of_task(cls, value: Mapping[str, Any]) -> Row:
        """
        Return the row of what a task pushed that sends one message: its job's dict, or a row.

        :param value: Plain JSON.
        """
        if "job_id" in value:
            return cls.from_dict(value)
        job = job_from_dict(value)
        account_id = (job.result or {}).get("account_id")
        return cls(job.id, account_id, job.channel, job.id, "skipped" if job.skipped else job.status, job_code(job))


_FIELDS = tuple(field.name for field in fields(Row))


def by_urgency(rows: Iterable[Row]) -> list[Row]:
    """
    Return rows in the order in which their jobs begin.

    :param rows: The rows.
    """
    return sorted(rows, key=lambda row: row.begins_at or 0.0)


def job_code(job: OutreachJob) -> str | None:
    """
    Return why a job failed or was skipped; None if it did neither.

    :param job: The job.
    """
    if job.failed:
        return plain_text((job.error or {}).get("code")) or job.status
    return "no_relevant_post" if job.skipped else None


def check_max_failed(value: Any) -> MaxFailed:
    """
    Return how many messages may fail: a whole number of them, or a share as a float from 0 to 1.

    :param value: What the Dag's author gave.
    :raises RevorValueError: (a ValueError) if it is neither.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < float("inf")):
        raise RevorValueError(f"max_failed={value!r}: use a number of messages, or a share such as 0.1.")
    if isinstance(value, float) and value > 1:
        raise RevorValueError(f"max_failed={value!r}: a share is at most 1.0; give a number of messages without a dot.")
    return value


def summarize(rows: Iterable[Row]) -> dict[str, Any]:
    """
    Count the outcomes of messages.

    :param rows: A row for each.
    :return: ``total``, and how many are ``sent``, ``accepted`` (their jobs go on), ``skipped`` and ``failed``; the same
        ``by_account`` and ``by_channel``; the failed and skipped ones ``by_code``, and their ``references`` by code.
    """
    rows = list(rows)
    codes = Counter(_code(row) for row in rows if _code(row))
    references: dict[str, list[str | int]] = {}
    for row in rows:
        code = _code(row)
        if code and row.reference is not None and len(named := references.setdefault(code, [])) < _MOST_REFERENCES:
            named.append(row.reference)
    return {
        "total": len(rows),
        **_count(rows),
        "by_account": _grouped(rows, "account_id"),
        "by_channel": _grouped(rows, "channel"),
        "by_code": dict(codes.most_common()),
        "references": references,
    }


def describe(summary: Mapping[str, Any]) -> str:
    """
    Return a summary in words, with the reasons by code and the references, on one line.

    :param summary: What :func:`summarize` returned.
    """
    sentence = progress(summary, "messages:")
    reasons = [
        f"{count:,} {code}{_named(summary['references'].get(code, ()), count)}"
        for code, count in list(summary["by_code"].items())[:_MOST_CODES]
    ]
    if (more := len(summary["by_code"]) - _MOST_CODES) > 0:
        reasons.append(f"and {more} more codes")
    return f"{sentence}. By code: {'; '.join(reasons)}." if reasons else f"{sentence}."


def sent_before(rows: Iterable[Row]) -> str | None:
    """
    Return a sentence about those who are skipped because of an earlier message of the campaign; None if nobody is.

    :param rows: The rows of all messages.
    """
    dates = sorted(row.already_sent_at for row in rows if row.already_sent_at)
    if not dates:
        return None
    span = f"from {dates[0]} to {dates[-1]}"
    return f"{len(dates):,} people are skipped: messages to them were sent in this campaign before, {span}."


def progress(summary: Mapping[str, Any], of: str) -> str:
    """
    Return the counts in words.

    :param summary: The counts.
    :param of: What follows the total, such as ``messages:``.
    """
    names = [name for name in ("sent", "accepted", "skipped", "failed") if name != "accepted" or summary[name]]
    return f"{summary['total']:,} {of} " + ", ".join(f"{summary[name]:,} {name}" for name in names)


def verdict(summary: Mapping[str, Any], max_failed: MaxFailed) -> str | None:
    """
    Return why too few messages were sent, in a clause; None if enough were.

    A run in which everybody was excluded, or was written to before in the campaign, is no failure.

    :param summary: What :func:`summarize` returned.
    :param max_failed: How many may fail: a number, or a share of those that were not skipped.
    """
    failed, considered = summary["failed"], summary["total"] - summary["skipped"]
    share = isinstance(max_failed, float)
    # Exact: as floats, 0.29 * 100 is less than 29.
    most = Fraction(str(max_failed)) * considered if share else Fraction(max_failed)
    if failed > most:
        limit = f"{max_failed:.6g} of {considered:,}" if share else f"{max_failed:,}"
        return f"{failed:,} failed, and max_failed allows {limit}"
    codes = summary["by_code"]
    reached = summary["sent"] + summary["accepted"] + codes.get(ALREADY_WRITTEN_TO, 0)
    as_wished = sum(codes.get(code, 0) for code in (ALREADY_WRITTEN_TO, ALREADY_FAILED, EXCLUDED))
    if not reached and not (as_wished and as_wished + codes.get(DUPLICATE, 0) == summary["total"]):
        return "nothing was sent"
    return None


def _count(rows: Iterable[Row]) -> dict[str, int]:
    counts = Counter(row.outcome for row in rows)
    return {name: counts[name] for name in ("sent", "accepted", "skipped", "failed")}


def _grouped(rows: Sequence[Row], field: str) -> dict[str, dict[str, int]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if (name := getattr(row, field)) is not None:
            groups.setdefault(str(name), []).append(row)
    return {name: _count(groups[name]) for name in sorted(groups)}


def _code(row: Row) -> str | None:
    if row.outcome not in ("failed", "skipped"):
        return None
    return row.code or row.status


def _named(references: Sequence[str | int], count: int) -> str:
    if not references:
        return ""
    named = [str(reference) for reference in references[:_MOST_NAMED]]
    more = f" and {count - len(named):,} more" if count > len(named) else ""
    return f" ({', '.join(named)}{more})"
