"""A task's part in a campaign: the common key, what the ledger says of somebody, and who is skipped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.api.answers import plain_text
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.campaign import CAMPAIGNS, CampaignLedger
from airflow_provider_revor.exceptions import RevorNotFoundError
from airflow_provider_revor.operators.ledger import ledger_store
from airflow_provider_revor.rules.batch import End
from airflow_provider_revor.rules.campaign import Entry, Skipped, campaign_key, campaign_name, sender_digest, when
from airflow_provider_revor.rules.outcomes import ALREADY_FAILED, ALREADY_WRITTEN_TO
from airflow_provider_revor.rules.sending import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_revor.operators.sending import Memory, Sent
    from airflow_provider_revor.rules.sending import Try
    from airflow_provider_revor.version_compat import Log


class Campaign:
    """
    A campaign, as one try of a task takes part in it.

    :param campaign: The campaign's rendered name, or its ``Asset``.
    :param kind: :data:`~airflow_provider_revor.rules.campaign.MESSAGES` or
        :data:`~airflow_provider_revor.rules.campaign.LIKES`.
    :param context: The task's context.
    :param log: The task's log.
    :raises RevorValueError: (a ValueError) if the campaign has no name.
    """

    def __init__(self, campaign: Any, kind: str, context: Context, log: Log) -> None:
        self.name = campaign_name(campaign)
        self._kind = kind
        self._log = log
        ti = context["ti"]
        self.by = sender_digest(ti.dag_id, ti.run_id, ti.task_id)
        #: The ledger; None below Airflow 3.3. One that cannot be reached is empty.
        self.ledger: CampaignLedger | None = None
        #: Whether the ledger says who was written to; else, keys alone decide.
        self.has_ledger = False
        if (store := ledger_store(campaign, context)) is not None:
            self.ledger = CampaignLedger(store, self.name, kind=kind, on_error=self._give_up)
            self.has_ledger = True
        else:
            log.warning(
                "Campaign %r has no ledger here: only Revor's memory of idempotency keys keeps people from being "
                "written to twice. The ledger takes Airflow 3.3+, and the asset %r among the task's inlets.",
                self.name,
                getattr(campaign, "name", CAMPAIGNS),
            )

    def key(self, recipient: Mapping[str, Any]) -> str:
        """
        Return the idempotency key of the first attempt to reach somebody.

        :param recipient: The person.
        """
        return campaign_key(self.name, self._kind, recipient)

    def settled(self, who: str, recorded: Attempt | None, *, cleared: bool, previews: bool = False) -> Skipped | None:
        """
        Return why somebody is skipped, if the ledger alone says so.

        :param who: A digest of the person.
        :param recorded: The attempt that this task has recorded.
        :param cleared: Whether a person has cleared the task, and this is the first try since.
        :param previews: Whether nothing is sent, and Revor is not asked how an earlier message ended: it is taken as
            sent. Default: False.
        """
        entry = self.ledger.find(who) if self.ledger else None
        if entry is None or not entry.is_newer_than(recorded):
            return None
        if entry.end and entry.settles(by=self.by, cleared=cleared):
            return self.skipped(entry.job_id, entry.at, entry.end.status)
        if previews and not (entry.end or entry.struck):
            return self.skipped(entry.job_id, entry.at, "unknown")
        return None

    def skipped(self, job_id: str | None, at: float | None, status: str) -> Skipped:
        """
        Return why somebody is skipped.

        :param job_id: The job of the earlier message.
        :param at: When it was sent, in seconds since the epoch; None if that is not known.
        :param status: How the job stands.
        """
        failed = status in ("failed", "cancelled")
        on = f" on {when(at)}" if at is not None else ""
        job = f" (outreach job {plain_text(job_id or '')}: {plain_text(status)})" if job_id else ""
        what = "An earlier message failed" if failed else "Already written to"
        again = " To send again, clear this task, or strike the person from the ledger." if failed else ""
        return Skipped(
            ALREADY_FAILED if failed else ALREADY_WRITTEN_TO,
            f"{what} in campaign {self.name!r}{on}{job}: nothing is sent.{again}",
            job_id,
            at,
        )

    def conflict(self, *, cleared: bool) -> Skipped:
        """
        Return why somebody is skipped to whom another message was sent under the same key.

        :param cleared: Whether a person has cleared the task, and this is the first try since.
        """
        again = ""
        if cleared:
            # They may have corrected a message that failed. Another key, while the first message was sent after all,
            # would be a second one.
            again = (
                " If it failed, clear this task with the message as it was, which sends it again; a corrected one "
                "takes the ledger of Airflow 3.3+, or another campaign."
            )
        return Skipped(
            ALREADY_WRITTEN_TO,
            f"Already written to in campaign {self.name!r}, with another message: nothing is sent. How that one ended "
            f"is not known here.{again}",
        )

    def note_end(self, who: str, recorded: Attempt | None, end: End) -> None:
        """
        Enter how a job of this task's ended; :meth:`save` writes it.

        :param who: A digest of the person.
        :param recorded: The attempt that this task has recorded for the person, with its job.
        :param end: How the job ended.
        """
        if self.ledger and recorded and recorded.job_id:
            entry = self.ledger.find(who)
            same = entry is not None and entry.job_id == recorded.job_id
            at = entry.at if entry and same else int(time.time())
            self.ledger.note(who, Entry(recorded.number, recorded.job_id, at, self.by, end))

    def save(self, *, check: bool = True) -> dict[str, Entry]:
        """
        Write what was entered, and return the entries of others that stay.

        :param check: As for :meth:`.CampaignLedger.save`. Default: True.
        """
        return self.ledger.save(check=check) if self.ledger else {}

    def _give_up(self, what: str, error: Exception) -> None:
        self.has_ledger = False
        self._log.warning(
            "The ledger of campaign %r cannot be %s, so that only Revor's memory of idempotency keys keeps people from "
            "being written to twice: %s: %s",
            self.name,
            what,
            type(error).__name__,
            plain_text(str(error)),
        )


class PersonInCampaign:
    """
    What is recorded of one person: by this task, and in the campaign's ledger.

    :param campaign: The campaign.
    :param who: A digest of the person.
    :param memory: What this task has recorded.
    :param at_once: Whether to write the ledger whenever something is entered. Default: True.
    """

    def __init__(self, campaign: Campaign, who: str, memory: Memory, *, at_once: bool = True) -> None:
        self._campaign = campaign
        self._who = who
        self._memory = memory
        #: The first attempt, as this task would make it.
        self.first: Attempt
        self._at_once = at_once
        self._earlier: Entry | None = None

    def recall(self) -> Attempt | None:
        """Return the latest attempt, whoever made it; None if none is recorded."""
        recorded, entry = self._memory.recall(), self._find()
        if entry is None or not entry.is_newer_than(recorded):
            return recorded
        if entry.struck:
            return replace(self.first, number=entry.attempt + 1, max_tries=None, cancels_since=None)
        if entry.by != self._campaign.by:
            self._earlier = entry
        # A person who clears this task does not mean to cancel another one's job.
        return replace(
            self.first,
            number=entry.attempt,
            job_id=entry.job_id,
            max_tries=None,
            cancels_since=None,
            version=None,
        )

    def keep(self, attempt: Attempt) -> None:
        """
        Record the latest attempt.

        :param attempt: The attempt; if its job is that of another task, it is not this task's.
        """
        if attempt.job_id and not self._is_earlier(attempt.job_id):
            self._enter(attempt.number, attempt.job_id)
        if attempt.job_id is None or not self._is_earlier(attempt.job_id):
            self._memory.keep(attempt)

    def get(self, job_id: str, ask: Callable[[str], OutreachJob]) -> OutreachJob:
        """
        Return how a job stands; of an earlier message, what the ledger says if it says that it has ended.

        :param job_id: The job.
        :param ask: Asks Revor.
        """
        earlier = self._earlier if self._is_earlier(job_id) else None
        if earlier and earlier.end:
            return earlier.end.as_job(job_id)
        try:
            return ask(job_id)
        except RevorNotFoundError:
            if not earlier:
                raise
            # Forgotten, or another Revor's. The person was written to all the same.
            return OutreachJob(job_id, "unknown")

    def skipped(self, sent: Sent, this_try: Try) -> Skipped | None:
        """
        Return why the person is skipped, if the job is that of an earlier message; None if it is this task's.

        :param sent: What the rule of sending came to.
        :param this_try: The try.
        """
        job, earlier = sent.job, self._earlier
        if earlier and self._is_earlier(job.id):
            if job.ended and not earlier.end:
                self._note(replace(earlier, end=End.of(job)))
            return self._campaign.skipped(job.id, earlier.at, job.status)
        # Found by its key alone. In a later try, it may be a job that this task's first one created.
        if sent.ended_before and this_try.number == 1 and job.ended_at is not None:
            return self._campaign.skipped(job.id, job.ended_at, job.status)
        return None

    def _is_earlier(self, job_id: str) -> bool:
        return self._earlier is not None and self._earlier.job_id == job_id

    def _find(self) -> Entry | None:
        return self._campaign.ledger.find(self._who) if self._campaign.ledger else None

    def _enter(self, number: int, job_id: str) -> None:
        entry = self._find()
        if entry and (entry.attempt, entry.job_id, entry.by) == (number, job_id, self._campaign.by):
            return
        self._note(Entry(number, job_id, int(time.time()), self._campaign.by))

    def _note(self, entry: Entry) -> None:
        if self._campaign.ledger:
            self._campaign.ledger.note(self._who, entry)
        if self._at_once:
            stays = self._campaign.save().get(self._who)
            if stays and stays.job_id == entry.job_id:
                # Another task has sent it at the same moment, under the same key.
                self._earlier = stays
