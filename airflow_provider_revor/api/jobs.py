"""
Outreach jobs: how a dispatch or a post-like stands, and how to ask for it or cancel it.

Source: ``GET /api/v1/outreach/jobs/{id}`` — Check an Outreach Job, ``POST /api/v2/jobs/{id}/cancel``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from airflow_provider_revor.api.accounts import is_nothing
from airflow_provider_revor.api.answers import Envelope, clean_id, plain_text
from airflow_provider_revor.api.checks import (
    parse_id,
)
from airflow_provider_revor.api.console import CONNECT_ACCOUNTS_URL
from airflow_provider_revor.api.versions import ApiVersion, translate
from airflow_provider_revor.api.wire import API_ROOT, Request
from airflow_provider_revor.exceptions import RevorJobError, RevorJobFailedError, RevorValueError

JOBS_PATH = f"{API_ROOT}/outreach/jobs"

# A job with any other status, known or not, has not ended.
_FAILED = ("failed", "cancelled")
_ENDED = ("succeeded", *_FAILED)
_ENDINGS = {"succeeded": "has succeeded", "failed": "has failed", "cancelled": "was cancelled"}
_NOT_BEGUN = ("queued", "scheduled")

_POST_LIKE = "outreach.linkedin.post_like"

# Codes of failed jobs that Revor's own clients retry, and parts of such codes, whatever `retryable` says; and codes of
# failures that only a person can fix.
_PASSING_CODES = (
    "external_api_worker_unavailable",
    "external_api_retry_enqueue_failed",
    "external_api_billing_retryable",
)
_PASSING_WORDS = r"timeout|(?<![a-z])(temporar|retryable(?![-_ ]?(false|no)))"
_NOT_PASSING_WORDS = r"insufficient_credits|membership_tier_insufficient|(non|not|un)[-_ ]?retryable"

# The longest id that is accepted: ids are used in paths, messages and XComs.
_LONGEST_ID = 200

# The documented fields of a dispatch's result: no content, and no address.
_DISPATCH_RESULT = ("account_id", "channel", "action", "resolved_action", "message_id", "status")


@dataclass(frozen=True, slots=True)
class OutreachJob:
    """
    An outreach job: what became of a dispatch or a post-like.

    :param id: The job's id.
    :param status: ``succeeded``, ``failed`` and ``cancelled`` are ends; ``queued``, ``scheduled``, ``running`` and
        whatever is not known here are not.
    :param action: ``outreach.dispatch`` or ``outreach.linkedin.post_like``.
    :param channel: The channel it uses.
    :param scheduled_at: When it may begin, ISO 8601, UTC.
    :param started_at: When it began.
    :param finished_at: When it ended.
    :param attempt_count: How often Revor has tried.
    :param next_attempt_at: When Revor tries again.
    :param result: What came of it; of all but a post-like, only what is documented.
    :param error: Why it failed: ``code``, ``message`` and ``retryable``.
    :param clock_ahead: By how many seconds Revor's clock, which all its times are of, is ahead of this machine's.
    :param answered_at: When Revor answered, in seconds since the epoch by Revor's clock; None if it did not say.
    """

    id: str
    status: str
    action: str | None = None
    channel: str | None = None
    scheduled_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    attempt_count: int | None = None
    next_attempt_at: str | None = None
    result: dict[str, Any] | None = field(default=None, repr=False)
    error: dict[str, Any] | None = None
    clock_ahead: float = field(default=0.0, repr=False, compare=False)
    answered_at: float | None = field(default=None, repr=False, compare=False)

    @property
    def ended(self) -> bool:
        """Whether it has ended: ``succeeded``, ``failed`` or ``cancelled``."""
        return self.status in _ENDED

    @property
    def failed(self) -> bool:
        """Whether it ended without sending its message: ``failed`` or ``cancelled``."""
        return self.status in _FAILED

    @property
    def skipped(self) -> bool:
        """Whether it succeeded by doing nothing: no post was worth a like."""
        return self.status == "succeeded" and (self.result or {}).get("status") == "skipped"

    @property
    def retry_may_help(self) -> bool:
        """Whether it failed or was cancelled, and Revor or Revor's own clients say that trying again may help."""
        error = self.error or {}
        if not self.failed:
            return False
        code = error.get("code")
        code = code.lower() if isinstance(code, str) else ""
        if re.search(_NOT_PASSING_WORDS, code):
            return False
        # Only a failed job's code counts: a cancelled one may carry the code of the client that cancelled it.
        passing = self.status == "failed" and (code in _PASSING_CODES or bool(re.search(_PASSING_WORDS, code)))
        return passing or error.get("retryable") is True

    @property
    def can_be_cancelled(self) -> bool:
        """Whether Revor guarantees that a cancel stops it: it is ``queued`` or ``scheduled``."""
        return self.status in _NOT_BEGUN

    @property
    def begins_at(self) -> float | None:
        """When it may begin, in seconds since this machine's epoch; None if it has begun, or Revor does not say."""
        moment = _moment(self.scheduled_at) if self.status in _NOT_BEGUN else None
        return None if moment is None else moment - self.clock_ahead

    @property
    def ended_at(self) -> float | None:
        """When it ended, in seconds since the epoch by Revor's clock; None if it goes on, or Revor does not say."""
        return _moment(self.finished_at) if self.ended else None

    @property
    def label(self) -> str:
        """Its id and status on one short line, for messages and logs."""
        is_now = _ENDINGS.get(self.status) or f"is {clean_id(self.status)}"
        return f"Outreach job {clean_id(self.id)} {is_now}"

    @property
    def standing(self) -> str:
        """How it stands, in a sentence."""
        begins = f" for {clean_id(self.scheduled_at)}" if self.begins_at else ""
        return f"{self.label}{begins}."

    @property
    def ending(self) -> str:
        """How it ended, in a sentence."""
        if self.skipped:
            return f"Outreach job {clean_id(self.id)} was skipped: Revor found no relevant post."
        return f"{self.label}."

    def failure(self, conn_id: str, *, for_good: bool = False) -> RevorJobError:
        """
        Return the error that a failed or cancelled job means.

        :param conn_id: The Airflow connection, for the message.
        :param for_good: Whether the task only waits for this job, so that another try would find what this one found.
        :return: A :class:`.RevorJobError` if Revor says that trying again may help, else a
            :class:`.RevorJobFailedError`.
        """
        error = self.error or {}
        code, why = clean_id(error.get("code")), plain_text(error.get("message"))
        how = "was cancelled in Revor" if self.status == "cancelled" else "failed"
        said = ": ".join(filter(None, (code, why.rstrip(".") if why else None)))
        reason = f"Outreach job {clean_id(self.id)} {how} on connection {conn_id!r}{f': {said}' if said else ''}."
        action = clean_id(self.action) or "unknown action"
        if self.retry_may_help:
            cls = RevorJobFailedError if for_good else RevorJobError
            return cls.of(
                reason, "Trying again may help: a retry of the task that created it sends again.", action, code=code
            )
        return RevorJobFailedError.of(
            reason,
            f"Trying again as it is will not help: {self._remedy} Then clear the task that created the job: it sends "
            "again. Up to Airflow 3.2, only the same message can be sent again; a corrected one takes an "
            "`idempotency_key`, or a campaign, of its own.",
            action,
            code=code,
        )

    @property
    def _remedy(self) -> str:
        code = str((self.error or {}).get("code") or "").lower()
        if "insufficient_credits" in code:
            return "have a person add credits in Revor."
        if "membership_tier_insufficient" in code:
            return "have a person upgrade the plan in Revor."
        if "recipient" in code:
            return "correct the recipient, or leave that person out."
        if "account" in code:
            return f"fix the account at {CONNECT_ACCOUNTS_URL}."
        return f"fix the cause. It may be the message, the recipient, or the account at {CONNECT_ACCOUNTS_URL}."

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, the fields as the API names them."""
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = tuple(name for name in OutreachJob.__slots__ if name not in ("clock_ahead", "answered_at"))


def parse_job_id(job_id: object) -> str:
    """
    Return the id of a job as text.

    :param job_id: Text, or a whole number.
    :raises RevorValueError: (a ValueError) if that names no job, or is the job itself.
    """
    # `.` and `..` would change the path.
    if is_nothing(job_id) or not str(job_id).strip(" ."):
        raise RevorValueError(f"job_id is {job_id!r}: it must name an outreach job.")
    # What tasks return, and what a template makes of that.
    if (isinstance(job_id, Mapping | Sequence) and not isinstance(job_id, str)) or str(job_id).lstrip()[0] in "{[":
        raise RevorValueError(
            "job_id must be one id, not a whole job or a list: use send.output['job_id'], or for a mapped task "
            ".expand(job_id=send.output.map(lambda job: job['id']))."
        )
    name = parse_id("job_id", job_id)
    if re.search(r"[\ud800-\udfff]", name):
        raise RevorValueError(f"job_id is {job_id!r}: it must be valid text.")
    return name


def job_request(job_id: str) -> Request:
    """
    Return the request for a job.

    :param job_id: Its id.
    :raises RevorValueError: (a ValueError) if that names no job.
    """
    return Request("GET", f"{JOBS_PATH}/{quote(parse_job_id(job_id), safe='')}")


def cancel_request(job_id: str, idempotency_key: str) -> Request:
    """
    Return the request that cancels a job. v2 only: v1 has no such endpoint.

    :param job_id: Its id.
    :param idempotency_key: Sent as ``Idempotency-Key``: a request without one is not sent again after a fault.
    :raises RevorValueError: (a ValueError) if that names no job.
    """
    path = f"{translate(job_request(job_id).path, ApiVersion.V2)}/cancel"
    return Request("POST", path, idempotency_key=idempotency_key)


def read_job(envelope: Envelope, job_id: str | None = None) -> OutreachJob:
    """
    Return the job in a response, whether it was just created or asked for.

    :param envelope: The decoded answer.
    :param job_id: The job that was asked for; None for one that was created.
    :raises RevorResponseError: if it is not as documented; it names the field.
    """
    item = envelope.item
    for name in ("id", "status"):
        if not isinstance(item.get(name), str) or not item[name]:
            raise envelope.malformed(f"item.{name}", "a string", item.get(name))
    if len(item["id"]) > _LONGEST_ID or not item["id"].isprintable() or " " in item["id"]:
        raise envelope.malformed("item.id", f"at most {_LONGEST_ID} printable characters without spaces", item["id"])
    if job_id is not None and item["id"] != job_id:
        raise envelope.malformed("item.id", "the id that was asked for", item["id"])
    for name in ("result", "error"):
        if not isinstance(item.get(name), (dict, type(None))):
            raise envelope.malformed(f"item.{name}", "an object or null", item[name])
    job = replace(job_from_dict(item), clock_ahead=envelope.clock_ahead, answered_at=envelope.date)
    if job.error:
        # Cleaned here: a worker that resumes after the triggerer does not know the API key, which may be quoted.
        said: dict[str, Any] = {name: plain_text(job.error[name]) for name in ("code", "message") if name in job.error}
        job = replace(job, error={**job.error, **said})
    if job.result and job.action != _POST_LIKE:
        return replace(job, result={name: job.result[name] for name in _DISPATCH_RESULT if name in job.result})
    return job


def job_from_dict(value: Mapping[str, Any]) -> OutreachJob:
    """
    Return the job that :meth:`OutreachJob.as_dict` wrote, in this or another version of this provider.

    :param value: Plain JSON.
    """
    return OutreachJob(**{name: value.get(name) for name in _FIELDS})  # type: ignore[arg-type]


def _moment(value: Any) -> float | None:
    """Return an ISO 8601 time in seconds since the epoch; None if it is none."""
    if not isinstance(value, str):
        return None
    import pendulum

    try:
        moment = pendulum.parse(value, exact=True)
        return moment.timestamp() if isinstance(moment, pendulum.DateTime) else None
    # pendulum stumbles with a TypeError over some texts, such as `9:`.
    except (ValueError, OverflowError, TypeError):
        return None
