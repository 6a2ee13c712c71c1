"""A batch's part in a campaign: who is skipped before anything is sent, and what is entered at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow_provider_revor.rules.batch import End
from airflow_provider_revor.rules.keys import digest

if TYPE_CHECKING:
    from airflow_provider_revor.operators.batch.memory import BatchMemory
    from airflow_provider_revor.operators.campaign import Campaign
    from airflow_provider_revor.rules.messages import Batch, Message
    from airflow_provider_revor.rules.outcomes import Row
    from airflow_provider_revor.rules.sending import BatchTry


def already_reached(
    batch: Batch, campaign: Campaign, memory: BatchMemory, this_try: BatchTry, *, previews: bool = False
) -> dict[int, Row]:
    """
    Return the rows of those whom the campaign's ledger alone tells to skip, by position.

    :param batch: The messages.
    :param campaign: The campaign.
    :param memory: What this task has recorded.
    :param this_try: The try.
    :param previews: Whether nothing is sent, as for :meth:`.Campaign.settled`. Default: False.
    """
    rows = {}
    for message in batch.messages:
        recorded = memory.recall(digest(message.key))
        if skipped := campaign.settled(message.who, recorded, cleared=this_try.follows_clear, previews=previews):
            rows[message.position] = skipped.row(message.row)
    return rows


def note_ends(messages: Iterable[Message], rows: Iterable[Row], campaign: Campaign, memory: BatchMemory) -> None:
    """
    Enter how jobs ended in the campaign's ledger, so that nobody has to ask Revor for it.

    :param messages: The messages.
    :param rows: Their rows.
    :param campaign: The campaign.
    :param memory: What this task has recorded.
    """
    ended = {row.job_id: End.of_row(row) for row in rows if row.job_id and row.outcome in ("sent", "failed")}
    for message in messages:
        recorded = memory.recall(digest(message.key))
        if recorded and (end := ended.get(recorded.job_id or "")) and end.known:
            campaign.note_end(message.who, recorded, end)
    campaign.save()
