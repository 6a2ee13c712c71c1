"""What a batch would send, before anything is sent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_revor.rules.outcomes import summarize

if TYPE_CHECKING:
    from airflow_provider_revor.rules.messages import Batch

# Seconds: Revor's least interval where none is given.
_REVORS_INTERVAL = 60


def preview(batch: Batch, now: float) -> dict[str, Any]:
    """
    Return what a batch would send: nothing personal, unless a reference is.

    :param batch: The checked messages.
    :param now: When sending would begin, in seconds since the epoch.
    :return: ``total``, ``to_send`` and ``skipped``; ``to_send`` ``by_account`` and ``by_channel``, with the first and
        the last time that is expected at the given intervals on a channel that is used for nothing else; the skipped
        ones ``by_code`` with their ``references``.
    """
    skipped = summarize(batch.skipped.values())
    times: dict[str, list[float]] = {}
    for message in batch.messages:
        on_channel = times.setdefault(str(message.row.channel), [])
        on_channel.append(on_channel[-1] + (message.row.interval or _REVORS_INTERVAL) if on_channel else now)
    return {
        "total": batch.total,
        "to_send": len(batch.messages),
        "skipped": skipped["skipped"],
        "by_account": dict(sorted(Counter(str(message.row.account_id) for message in batch.messages).items())),
        "by_channel": {
            channel: {"to_send": len(at), "first_expected_at": _iso(at[0]), "last_expected_at": _iso(at[-1])}
            for channel, at in sorted(times.items())
        },
        "by_code": skipped["by_code"],
        "references": skipped["references"],
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
