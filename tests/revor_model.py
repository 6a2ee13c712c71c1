"""A model of Revor: what it does with idempotency keys, and its clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from factories import job

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob

DAY = 86_400
LIVE = ("queued", "running", "succeeded")
ENDS = [
    ("succeeded", None),
    ("failed", {"code": "busy", "retryable": True}),
    ("failed", {"code": "provider_timeout", "retryable": False}),
    ("failed", {"code": "recipient_unknown", "retryable": False}),
    ("cancelled", None),
]


class Crash(BaseException):
    """The worker is gone."""


class Revor:
    """What Revor does with keys, and its clock."""

    def __init__(self, offset, dated):
        self.offset, self.dated = offset, dated
        self.jobs = {}
        self.keys = {}
        self.api_key = 0
        self.at_once = None

    @property
    def now(self):
        return time.time() + self.offset

    @property
    def date(self):
        """The Date header, which has no fractions of a second."""
        return float(int(self.now)) if self.dated else None

    def iso(self):
        return datetime.fromtimestamp(self.now, UTC).isoformat()

    def post(self, address, body, key):
        known = self.keys.get((self.api_key, key))
        if known:
            if known["body"] != body:
                raise e.RevorIdempotencyConflictError("conflict", code="idempotency_conflict", status_code=409)
            # As it stood when it was created.
            return OutreachJob(known["id"], "queued", answered_at=self.date)
        job_id = f"job_{len(self.jobs) + 1}"
        self.jobs[job_id] = job(id=job_id, status="queued", finished_at=None, error=None, address=address)
        self.keys[self.api_key, key] = {"id": job_id, "body": body}
        if self.at_once:
            self.end(job_id, *self.at_once)
        return OutreachJob(job_id, "queued", answered_at=self.date)

    def get(self, job_id):
        one = {name: value for name, value in self.jobs[job_id].items() if name != "address"}
        return OutreachJob(**one, answered_at=self.date)

    def end(self, job_id, status, error):
        if self.jobs[job_id]["status"] == "queued":
            self.jobs[job_id].update(status=status, error=error, finished_at=self.iso())
