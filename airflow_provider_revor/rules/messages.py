"""The messages of a batch: checked all together before the first is sent, each person once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_revor.api.accounts import Channel, is_nothing
from airflow_provider_revor.api.answers import plain_text
from airflow_provider_revor.api.checks import DISPATCH_FIELDS, recipient_of
from airflow_provider_revor.api.outreach import dispatch_request
from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.rules.campaign import MESSAGES, campaign_key
from airflow_provider_revor.rules.exclusion import Exclusion, person_digest
from airflow_provider_revor.rules.keys import fixed_choice, task_key
from airflow_provider_revor.rules.outcomes import DUPLICATE, EXCLUDED, Row

MOST_MESSAGES = 10_000

_KNOWN = (*DISPATCH_FIELDS, "reference")
_LONGEST_REFERENCE = 200
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message, checked.

    :param position: Its place in the list, from 0 on.
    :param key: The idempotency key of its first attempt, which names the person.
    :param who: A digest of the person, the same in all tasks and runs.
    :param body: The message as it was given; a request can be made of it.
    :param row: What its row begins with.
    """

    position: int
    key: str
    who: str
    body: Mapping[str, Any]
    row: Row

    @property
    def sent(self) -> list[Any]:
        """All that is sent, as plain JSON; only a digest of it is kept."""
        body: dict[str, Any] = {name: self.body.get(name) for name in DISPATCH_FIELDS}
        # Not what else is in the recipient: that may change without another message.
        body["recipient"] = recipient_of(Channel(body["channel"].strip()), body["recipient"])
        return [body, self.row.interval]


@dataclass(frozen=True, slots=True)
class Batch:
    """
    A list of messages, checked.

    :param messages: Those to send, each to another person.
    :param skipped: The rows of the others, by position: invalid, excluded, or to a person who is in the list before.
    :param problems: What is wrong with the invalid ones: each in a sentence, by position and reference.
    :param total: How many there are in all.
    """

    messages: list[Message]
    skipped: dict[int, Row]
    problems: list[str]
    total: int

    def without(self, rows: Mapping[int, Row]) -> Batch:
        """
        Return the batch with some more messages skipped.

        :param rows: Their rows, by position.
        """
        left = [message for message in self.messages if message.position not in rows]
        return replace(self, messages=left, skipped={**self.skipped, **rows})

    def refuse(self) -> None:
        """
        Refuse the whole list if something in it is invalid.

        :raises RevorValueError: (a ValueError) if so; it names each by position and reference, none by its content.
        """
        if self.problems:
            raise RevorValueError(
                f"{len(self.problems):,} of {self.total:,} messages cannot be sent, so none is: {self.told_problems()} "
                'Correct them, or pass on_invalid="skip".'
            )

    def told_problems(self) -> str:
        """Return what is wrong, on one line."""
        more = len(self.problems) - _MOST_TOLD
        return " ".join(self.problems[:_MOST_TOLD]) + (f" And {more:,} more." if more > 0 else "")


def check_list(messages: Any) -> None:
    """
    Check that the messages of a batch are a list, whatever is in it.

    :param messages: The list.
    :raises RevorValueError: (a ValueError) if it is none.
    """
    # What can be read but once would be an empty list the next time.
    if isinstance(messages, (str, bytes, Mapping, Iterator)) or not isinstance(messages, Iterable):
        raise RevorValueError(f"messages must be a list of objects, not {type(messages).__name__}.{_advice(messages)}")


def read_messages(
    messages: Any,
    *,
    dag_id: str,
    run_id: str,
    task_id: str,
    campaign: str | None = None,
    exclude: Exclusion | None = None,
    bounds: tuple[int, int] | None = None,
) -> Batch:
    """
    Check the messages of a batch.

    :param messages: The list.
    :param dag_id: The Dag, for the keys.
    :param run_id: Its run.
    :param task_id: The task.
    :param campaign: The campaign, whose keys are used in place of the task's; None for none.
    :param exclude: Who must not be written to; None for nobody.
    :param bounds: The least and the most seconds of the interval that is drawn for each person; None for Revor's.
    :raises RevorValueError: (a ValueError) if it is no list, or too long a one.
    """
    check_list(messages)
    listed = list(messages)
    if len(listed) > MOST_MESSAGES:
        raise RevorValueError(f"{len(listed):,} messages are too many for one batch: at most {MOST_MESSAGES:,}.")
    batch = Batch([], {}, [], len(listed))
    seen: set[str] = set()
    for position, value in enumerate(listed):
        row = _first_row(value)
        named = f" (reference {plain_text(str(row.reference))})" if row.reference is not None else ""
        try:
            recipient = _check(value)
        except RevorValueError as e:
            batch.problems.append(f"messages[{position}]{named}: {e}")
            batch.skipped[position] = replace(row, status="skipped", code="invalid_message")
            continue
        if exclude and value["recipient"] in exclude:
            batch.skipped[position] = replace(row, status="skipped", code=EXCLUDED)
            continue
        if campaign is None:
            key = task_key(dag_id, run_id, task_id, recipient)
        else:
            key = campaign_key(campaign, MESSAGES, recipient)
        if key in seen:
            batch.skipped[position] = replace(row, status="skipped", code=DUPLICATE)
            continue
        seen.add(key)
        interval = bounds and fixed_choice(key, *bounds)
        batch.messages.append(Message(position, key, person_digest(recipient), value, replace(row, interval=interval)))
    return batch


def _advice(messages: Any) -> str:
    if not isinstance(messages, str):
        return ""
    return " Pass the output of the task that returns the list; a template takes render_template_as_native_obj=True."


def _check(value: Any) -> dict[str, Any]:
    """Return the recipient of a message that can be sent."""
    if not isinstance(value, Mapping):
        raise RevorValueError(f"It must be an object, not {type(value).__name__}.")
    if unknown := [name for name in value if name not in _KNOWN]:
        names = ", ".join(plain_text(str(name)[:50]) or "''" for name in unknown[:5])
        raise RevorValueError(f"Unknown fields: {names}; known are {', '.join(_KNOWN)}.")
    fields: dict[str, Any] = {name: value.get(name) for name in DISPATCH_FIELDS}
    # Its content, too: a date or a NaN in `metadata` is not JSON.
    _ = dispatch_request(**fields).content
    reference = value.get("reference")
    if not _is_reference(reference) and not is_nothing(reference):
        kind = "" if isinstance(reference, str) else f", not {type(reference).__name__}"
        raise RevorValueError(
            f"reference must be a whole number, or printable text of at most {_LONGEST_REFERENCE} characters{kind}."
        )
    return recipient_of(Channel(fields["channel"].strip()), fields["recipient"])


def _first_row(value: Any) -> Row:
    """Return what a message's row begins with, as far as it is sound."""
    fields = value if isinstance(value, Mapping) else {}
    account, channel, reference = fields.get("account_id"), fields.get("channel"), fields.get("reference")
    known = isinstance(channel, str) and channel.strip() in list(Channel)
    return Row(
        reference=reference if _is_reference(reference) else None,
        account_id=plain_text(str(account)) if isinstance(account, str | int) else None,
        channel=str(channel).strip() if known else None,
    )


def _is_reference(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST_REFERENCE and value.isprintable()
    return isinstance(value, int) and not isinstance(value, bool)


def rows_of(batch: Batch, known: Mapping[int, Row]) -> list[Row]:
    """
    Return a row for each message of a batch, in the order of the list.

    :param batch: The batch.
    :param known: The rows of messages that were sent or failed, by position. The others were not sent yet.
    """
    unsent = {one.position: replace(one.row, code="not_sent", retry_may_help=True) for one in batch.messages}
    rows = {**batch.skipped, **unsent, **known}
    return [rows[position] for position in range(batch.total)]
