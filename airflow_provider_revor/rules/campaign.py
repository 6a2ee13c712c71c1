"""
A campaign: nobody is written to twice in it, whatever run, task or Dag sends.

All of them use the same idempotency key for a person, and a ledger, if there is one, says what became of the earlier
message. A new run is treated like an automatic retry: it sends again what failed only if Revor says that trying again
may help. A person who clears a task, or strikes somebody from the ledger, authorises one more message.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from airflow_provider_revor.api.accounts import is_nothing
from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.rules.batch import End
from airflow_provider_revor.rules.keys import digest, person
from airflow_provider_revor.rules.outcomes import Row
from airflow_provider_revor.rules.sending import Attempt

#: A message and a like are two things: one of each for each person and campaign.
MESSAGES, LIKES = "messages", "likes"

# Each value of the ledger holds many people, as each read is a request to Airflow's API server. With so many values,
# 10,000 people are 40 in each, and 120,000 stay below Airflow's limit of 64 kB.
SHARDS = 256

_LONGEST_NAME = 250


@dataclass(frozen=True, slots=True)
class Entry:
    """
    What the ledger says of one person.

    :param attempt: Which attempt it was, from 1 on.
    :param job_id: Its job; None if the person was struck: the next message is another attempt.
    :param at: When the message was sent, in seconds since the epoch; when struck, the time of that.
    :param by: A digest of the Dag, run and task that sent it.
    :param end: How the job ended; None if that is not known.
    """

    attempt: int
    job_id: str | None
    at: int
    by: str = ""
    end: End | None = None

    @property
    def struck(self) -> bool:
        """Whether the person was struck from the ledger."""
        return self.job_id is None

    @property
    def on(self) -> str:
        """When the message was sent, as in ``2026-01-31 09:30 UTC``."""
        return when(self.at)

    def is_newer_than(self, recorded: Attempt | None) -> bool:
        """
        Return whether this is not the attempt that a task has recorded, or one before it.

        :param recorded: The attempt that the task has recorded.
        """
        if recorded is None or self.attempt > recorded.number:
            return True
        if self.struck:
            return self.attempt == recorded.number
        # A task that has recorded no job may have been about to send what another one has sent.
        return self.attempt == recorded.number and self.job_id != recorded.job_id

    def settles(self, *, by: str, cleared: bool) -> bool:
        """
        Return whether it alone says that nothing is to be sent.

        :param by: A digest of the Dag, run and task that asks.
        :param cleared: Whether a person has cleared the task, and this is the first try since.
        """
        if self.struck or self.by == by or self.end is None:
            return False
        return self.end.status == "succeeded" or not (cleared or self.end.retry_may_help)


class Skipped(NamedTuple):
    """Somebody who is not written to: a code, a sentence, and the earlier message's job and time if they are known."""

    code: str
    reason: str
    job_id: str | None = None
    at: float | None = None

    @property
    def sent_at(self) -> str | None:
        """When the earlier message was sent."""
        return None if self.at is None else when(self.at)

    def row(self, begun: Row) -> Row:
        """
        Return the row of the message that is skipped.

        :param begun: What the row begins with.
        """
        return replace(begun, job_id=self.job_id, status="skipped", code=self.code, already_sent_at=self.sent_at)


def when(moment: float) -> str:
    """
    Return a time as in ``2026-01-31 09:30 UTC``.

    :param moment: Seconds since the epoch.
    """
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def campaign_name(campaign: Any) -> str:
    """
    Return a campaign's name.

    :param campaign: A name, which may be a whole number, or an Airflow ``Asset``.
    :raises RevorValueError: (a ValueError) if it has none. A template that renders to nothing is an error, too: without
        the campaign, everybody would be written to again.
    """
    if isinstance(campaign, int) and not isinstance(campaign, bool):
        # Native rendering makes a number of "5".
        campaign = str(campaign)
    # A Dataset of Airflow 2 has a URI only.
    name = campaign if isinstance(campaign, str) else getattr(campaign, "name", None) or getattr(campaign, "uri", None)
    if is_nothing(name) or not isinstance(name, str):
        if isinstance(campaign, str):
            raise RevorValueError("campaign is blank: use a name or an Asset.")
        raise RevorValueError(
            f"campaign is of the type {type(campaign).__name__}: use a name or an Asset. If it is a template that "
            'renders to a native object, add a word to it, as in "wave-{{ params.wave }}".'
        )
    # One name, whether its accents are characters of their own or not.
    name = unicodedata.normalize("NFC", name.strip())
    if len(name) > _LONGEST_NAME:
        raise RevorValueError(f"campaign has {len(name)} characters; at most {_LONGEST_NAME} are possible.")
    return name


def campaign_key(name: str, kind: str, recipient: Mapping[str, Any]) -> str:
    """
    Return the idempotency key of a campaign's message to a person, apart from the attempt.

    :param name: The campaign's name.
    :param kind: :data:`MESSAGES` or :data:`LIKES`.
    :param recipient: The person, in any spelling. It has the field of one channel.
    """
    return f"airflow-{digest('campaign', name, kind, person(recipient))}"


def sender_digest(dag_id: str, run_id: str, task_id: str) -> str:
    """
    Return a short digest of who sends: a Dag, its run and a task.

    :param dag_id: The Dag.
    :param run_id: Its run.
    :param task_id: The task; all of a mapped task are one.
    """
    return digest("sender", dag_id, run_id, task_id)[:12]


def shard_key(name: str, kind: str, number: int) -> str:
    """
    Return the key of one value of a ledger.

    :param name: The campaign's name.
    :param kind: :data:`MESSAGES` or :data:`LIKES`.
    :param number: Which value, from 0 to :data:`SHARDS` - 1.
    """
    return f"airflow_provider_revor.{digest(name)[:16]}.{kind}.{number:02x}"


def shard_of(who: str) -> int:
    """
    Return which value of a ledger a person is in.

    :param who: What :func:`~airflow_provider_revor.rules.exclusion.person_digest` returned.
    """
    return int(_hex(who)[:2], 16)


def pack_shard(entries: Mapping[str, Entry]) -> dict[str, list[Any]]:
    """
    Return entries by person as short plain JSON.

    :param entries: The entries by what :func:`~airflow_provider_revor.rules.exclusion.person_digest` returned.
    """
    return {
        _hex(who): [entry.attempt, entry.job_id, entry.at, entry.by, *(entry.end or ())]
        for who, entry in entries.items()
    }


def unpack_shard(value: Any) -> dict[str, Entry]:
    """
    Return the entries that :func:`pack_shard` wrote.

    :param value: Plain JSON; None for none.
    :raises ValueError: if it is something else.
    """
    entries = {}
    for who, fields in ({} if value is None else value).items() if isinstance(value, dict | None) else [("", value)]:
        match fields:
            case [int(attempt), str() | None as job_id, int(at), str(by), *rest] if len(rest) in (0, 3):
                entries[f"person-{who}"] = Entry(attempt, job_id, at, by, End(*rest) if rest else None)
            case _:
                raise ValueError("The ledger holds something that this version of the provider does not write.")
    return entries


def _hex(who: str) -> str:
    return who.removeprefix("person-")
