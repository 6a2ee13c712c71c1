"""
What a dispatch or a post-like must have, checked before anything is sent.

Errors name fields and never show values, which are personal.

A Dag that renders templates to native objects turns text such as a phone number or an id into a number. So a whole
number is accepted wherever text is expected, and converted back.

Source: ``POST /api/v1/outreach/dispatches`` — Create Outreach Dispatch, ``POST /api/v1/outreach/linkedin/post-likes``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_revor.api.accounts import Channel, is_nothing, parse_channel
from airflow_provider_revor.exceptions import RevorValueError

DISPATCH_FIELDS = ("account_id", "channel", "recipient", "content", "metadata")
#: The field of a recipient that each channel needs.
ADDRESS_FIELD = {Channel.EMAIL: "address", Channel.LINKEDIN: "profile_url", Channel.WHATSAPP: "phone"}

SHORTEST_INTERVAL, LONGEST_INTERVAL = 60, 86_400
MOST_POSTS = 50
LOCALES = ("en", "zh")

_TEXTS = ("subject", "text", "html")
_ATTACHMENT_TEXTS = ("filename", "contentBase64")

# How pandas and databases write an empty cell where text is wanted.
_EMPTY_CELLS = ("nan", "<na>", "null")

_NO_ADDRESS_ALONE = re.compile(r"[<>]|\S\s+\S|@\S*[,;]\S*@")
_NO_PERSON = re.compile(r"(?:https?://)?(?:[a-z]+\.)*linkedin\.com/(?:company|school|showcase)/", re.IGNORECASE)

Known = Callable[[Any], bool]


def check_dispatch(
    account_id: Any, channel: Any, recipient: Any, content: Any, metadata: Any, known: Known = lambda value: True
) -> None:
    """
    Check the fields of a dispatch.

    :param account_id: The Connect account to send from.
    :param channel: The account's channel.
    :param recipient: The recipient.
    :param content: The message.
    :param metadata: Any object of the caller's, or None.
    :param known: Whether a value is known already; others are not checked. By default, all are known.
    :raises RevorValueError: (a ValueError) if something is missing or mistyped; it names each such field.
    """
    wanted: Channel | None = None
    problems: list[str] = []
    if known(channel):
        try:
            wanted = parse_channel(channel)
        except RevorValueError as e:
            problems.append(str(e).rstrip("."))
        else:
            problems += [] if wanted else ["channel is missing"]
    problems += _id_problems("account_id", account_id, known)
    if known(recipient):
        problems += _recipient_problems(wanted, recipient, known)
    if known(content):
        problems += _content_problems(wanted, content, known)
    if known(metadata) and not is_nothing(metadata) and not isinstance(metadata, Mapping):
        problems.append(_no_object("metadata", "{'key': …}", metadata))
    if problems:
        raise RevorValueError(
            f"This dispatch{f' on {wanted}' if wanted else ''} cannot be sent: {'; '.join(problems)}."
        )


def check_post_like(fields: Mapping[str, Any], known: Known = lambda value: True) -> None:
    """
    Check the fields of a post-like.

    :param fields: The fields of its body, those left out as None.
    :param known: Whether a value is known already; others are not checked. By default, all are known.
    :raises RevorValueError: (a ValueError) if something is missing or mistyped; it names each such field.
    """
    problems = list(_id_problems("profile_url", fields["profile_url"], known))
    if not is_nothing(fields["account_id"]):
        problems += _id_problems("account_id", fields["account_id"], known)
    about = [fields[name] for name in ("content", "topic", "intent")]
    if all(known(value) and _blank(value) for value in about):
        problems.append("one of content, topic and intent is missing")
    for name in ("content", "topic", "intent"):
        if not _blank(fields[name]):
            problems += _text_problems(name, fields[name], known)
    limit, locale = fields["post_limit"], fields["locale"]
    if known(limit) and not is_nothing(limit) and not 1 <= _whole(limit) <= MOST_POSTS:
        problems.append(f"post_limit must be a whole number from 1 to {MOST_POSTS}")
    if known(locale) and not is_nothing(locale) and locale not in LOCALES:
        problems.append(f"locale must be one of {', '.join(LOCALES)}")
    if problems:
        raise RevorValueError(f"This post-like cannot be asked for: {'; '.join(problems)}.")


def recipient_of(channel: Channel, recipient: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the fields of a recipient that a channel takes. A lead may have fields for several channels.

    :param channel: The channel.
    :param recipient: A recipient. What :func:`check_dispatch` would refuse in it stays as it is.
    """
    field = ADDRESS_FIELD[channel]
    taken = {field: recipient.get(field), "name": as_text(recipient.get("name"))}
    return {
        name: str(value).strip() if isinstance(value, str | int) else value
        for name, value in taken.items()
        if not _blank(value)
    }


def is_empty_cell(value: Any) -> bool:
    """
    Return whether an address is left out, or is what stands for an empty cell of a table.

    :param value: The address.
    """
    return _blank(value) or (isinstance(value, str) and value.strip().lower() in _EMPTY_CELLS)


def content_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a message whose numbers are text again; what is blank is left out.

    :param content: A message that passed :func:`check_dispatch`.
    """
    taken = {name: as_text(value) if name in _TEXTS else value for name, value in content.items()}
    if not _blank(content.get("attachments")):
        taken["attachments"] = [
            {name: as_text(value) if name in _ATTACHMENT_TEXTS else value for name, value in attachment.items()}
            for attachment in content["attachments"]
        ]
    return {name: value for name, value in taken.items() if not is_nothing(value)}


def parse_id(name: str, value: object) -> str:
    """
    Return an id as text.

    :param name: The argument's name, for the message of an error.
    :param value: Text, or a whole number, which a template that renders to native objects makes of an id.
    :raises RevorValueError: (a ValueError) if it is missing or neither of these.
    """
    for problem in _id_problems(name, value, lambda value: True):
        raise RevorValueError(f"{problem}.")
    return str(value).strip()


def as_text(value: Any) -> Any:
    """
    Return the text that a number was before a template rendered it to a native object; anything else as it is.

    :param value: Anything. A float that Python writes with an exponent is left as it is: it was written in another way.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int) or (isinstance(value, float) and re.fullmatch(r"-?\d+\.\d+", repr(value))):
        return str(value)
    return value


def interval_bounds(value: Any) -> tuple[int, int] | None:
    """
    Return the least and the most seconds that a ``min_channel_task_interval_seconds`` allows.

    :param value: None, or a template that rendered to nothing; whole seconds; or a pair of them.
    :return: The bounds, equal unless a pair was given; None for Revor's default.
    :raises RevorValueError: (a ValueError) if it is none of these, or out of bounds.
    """
    if is_nothing(value):
        return None
    pair = value if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    bounds = [_whole(part) for part in pair]
    if len(bounds) != 2 or not SHORTEST_INTERVAL <= bounds[0] <= bounds[1] <= LONGEST_INTERVAL:
        raise RevorValueError(
            f"min_channel_task_interval_seconds={value!r}: use whole seconds from {SHORTEST_INTERVAL} to "
            f"{LONGEST_INTERVAL}, or a pair of them such as (180, 360), the smaller first."
        )
    return bounds[0], bounds[1]


def parse_interval(value: Any) -> int | None:
    """
    Return the seconds that a ``min_channel_task_interval_seconds`` names.

    :param value: None, or a template that rendered to nothing; or whole seconds.
    :return: The seconds; None for Revor's default.
    :raises RevorValueError: (a ValueError) if it is neither, or out of bounds.
    """
    bounds = interval_bounds(value)
    if bounds and bounds[0] != bounds[1]:
        raise RevorValueError("min_channel_task_interval_seconds is one number of seconds here, not a pair.")
    return bounds and bounds[0]


def _recipient_problems(channel: Channel | None, recipient: Any, known: Known) -> Iterator[str]:
    if not isinstance(recipient, Mapping):
        field = ADDRESS_FIELD[channel] if channel else "address"
        yield _no_object("recipient", f"{{{field!r}: …}}", recipient)
    elif channel:
        name = ADDRESS_FIELD[channel]
        value = recipient.get(name)
        yield from _id_problems(f"recipient.{name}", value, known)
        if not _blank(recipient.get("name")):
            yield from _text_problems("recipient.name", recipient["name"], known)
        if known(value) and not _blank(value):
            if is_empty_cell(value):
                yield f"recipient.{name} is missing: {str(value).strip()} stands for an empty cell"
            elif isinstance(as_text(value), str):
                yield from _spelling_problems(channel, str(value).strip())


def _spelling_problems(channel: Channel, value: str) -> Iterator[str]:
    # `Ada <ada@example.com>` and `ada@example.com,bob@example.com` would get another idempotency key than the
    # address alone, and would not be found in `exclude`.
    if channel == Channel.EMAIL and _NO_ADDRESS_ALONE.search(value):
        yield "recipient.address must be one address alone: the name has a field of its own"
    elif channel == Channel.EMAIL and "@" not in value:
        yield "recipient.address must be an email address: it has no @"
    elif channel == Channel.LINKEDIN and _NO_PERSON.match(value):
        yield "recipient.profile_url must be a person's profile, not a company's or a school's page"


def _content_problems(channel: Channel | None, content: Any, known: Known) -> Iterator[str]:
    if not isinstance(content, Mapping):
        yield _no_object("content", "{'text': …}", content)
        return
    texts = ("text", "html") if channel == Channel.EMAIL else ("text",)
    if channel == Channel.EMAIL:
        yield from _text_problems("content.subject", content.get("subject"), known)
        enough = texts
    else:
        enough = ("text", "attachments")
    if channel and all(known(content.get(name)) and _blank(content.get(name)) for name in enough):
        yield " and ".join(f"content.{name}" for name in enough) + " are both missing: one of them is needed"
    for name in texts:
        if not _blank(content.get(name)):
            yield from _text_problems(f"content.{name}", content[name], known)
    attachments = content.get("attachments")
    if known(attachments) and not _blank(attachments):
        yield from _attachment_problems(attachments, known)


def _attachment_problems(attachments: Any, known: Known) -> Iterator[str]:
    if not isinstance(attachments, Sequence) or isinstance(attachments, str):
        yield "content.attachments must be a list"
        return
    for index, attachment in enumerate(attachments):
        where = f"content.attachments[{index}]"
        if not known(attachment):
            continue
        if not isinstance(attachment, Mapping):
            yield f"{where} must be an object"
            continue
        for name in _ATTACHMENT_TEXTS:
            yield from _text_problems(f"{where}.{name}", attachment.get(name), known)


def _text_problems(where: str, value: Any, known: Known) -> Iterator[str]:
    if not known(value):
        return
    if _blank(value):
        yield f"{where} is missing"
    elif not isinstance(as_text(value), str):
        yield f"{where} must be text, not {type(value).__name__}"


def _id_problems(where: str, value: Any, known: Known) -> Iterator[str]:
    if known(value) and isinstance(value, float) and not _blank(value):
        # A float may have lost digits: 49151.10 and 49151.1 are the same float.
        yield f"{where} must be text, not float"
    elif known(value) and where == "account_id" and isinstance(value, Mapping) and "account_id" in value:
        yield "account_id must be an id, not a whole account: take its `account_id`, as gate.output['account_id'] does"
    else:
        yield from _text_problems(where, value, known)


def _no_object(where: str, such: str, value: Any) -> str:
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return (
            f"{where} is the text of an object, which a template makes of it: pass the output of the task that returns "
            "it, or give the Dag render_template_as_native_obj=True"
        )
    return f"{where} must be an object such as {such}"


def _blank(value: Any) -> bool:
    return is_nothing(value) or (isinstance(value, (list, tuple)) and not value)


def _whole(value: Any) -> int:
    """Return a whole number, also from text; -1 for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return -1
    text = str(value).strip()
    return int(text) if text.isdecimal() and len(text) < 10 else -1
