"""Who must not be written to: people in any spelling, or digests of them."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_provider_revor.api.accounts import is_nothing
from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.rules.identity import person

_FIELDS = ("address", "profile_url", "phone")
_DIGEST = re.compile(r"person-[0-9a-f]{32}")
_NAMED = re.compile(r"[^<>]*<\s*([^<>@\s]+@[^<>@\s]+)\s*>")
# Several people, or more than an address: a separator before an address or a link, something behind an address, a
# separator behind a number; or what Python shows of an object, as where Airflow 2 renders the XComs of a mapped task.
_NOT_ALONE = re.compile(
    r"""[\s,;]\S*(?:@|://|linkedin\.com/|wa\.me/)|@\S*[\s,;"'<>]|^[+\d\s()./-]*\d(?:\s*[,;]|\s+\+)"""
    r"|^[a-z_]\w*\([\[{<].*\)$|^<.*>$",
    re.IGNORECASE | re.DOTALL,
)
# A whole domain, as in `@example.com`, or an address without one.
_NO_ADDRESS = re.compile(r"[*%.]*@[^@\s]*\.[^@\s]+|[^@\s]+@")
# A domain's or a file's name. A contact identifier that looks like one can be given in a dict, as a phone.
_NO_PERSON = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}|[^@]+\.(?:csv|tsv|txt|jsonl?|parquet|xlsx?|ya?ml)", re.IGNORECASE)


def person_digest(recipient: Mapping[str, Any]) -> str:
    """
    Return a digest of a person, the same for all spellings: ``person-`` and 32 hexadecimal digits.

    A list of digests can be kept, compared and passed as ``exclude`` without any address in it. Somebody who guesses an
    address can check the guess: treat digests as pseudonyms, not as anonymous.

    :param recipient: A dict with an ``address``, a ``profile_url`` or a ``phone``; the first of them counts.
    :raises ValueError: if it has none of them.
    """
    text = person({name: _alone(recipient[name]) for name in _FIELDS if not is_nothing(recipient.get(name))})
    return f"person-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:32]}"


def digests_of(value: Any) -> list[str]:
    """
    Return the digests that a person in any form stands for; none if nothing is given.

    :param value: A text, which may be an address, a profile URL, a phone or a digest; a phone as a whole number; or a
        dict with one or several of ``address``, ``profile_url`` and ``phone``.
    :raises ValueError: if it is of another type.
    """
    if is_nothing(value):
        return []
    if isinstance(value, Mapping):
        return [person_digest({name: value[name]}) for name in _FIELDS if not is_nothing(value.get(name))]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"is of the type {type(value).__name__}")
    text = str(value).strip()
    if _DIGEST.fullmatch(text.lower()):
        return [text.lower()]
    # Whatever it is, read as the others it is a spelling of nobody.
    return [person_digest({name: text}) for name in _FIELDS]


def check_list(exclude: Any) -> None:
    """
    Check that the people who must not be written to are a list, whatever is in it.

    :param exclude: The list, also as a text; None for nobody.
    :raises RevorValueError: (a ValueError) if it is something else.
    """
    if exclude is None:
        return
    # A table of pandas yields the names of its columns, which are nobody. What can be read but once would exclude
    # nobody the next time.
    is_table = getattr(exclude, "ndim", 1) != 1
    if is_table or isinstance(exclude, bytes | Mapping | Iterator) or not isinstance(exclude, Iterable):
        raise RevorValueError(f"exclude must be a list, not {type(exclude).__name__}.")


class Exclusion:
    """
    The people who must not be written to.

    :param exclude: A list of what :func:`digests_of` takes, or a text: a list as Python or JSON writes it, or one entry
        a line. Blank entries are ignored; None for nobody.
    :param expected: Whether the author gave a template or another task's output. That of a task which returned nothing
        is None, and would exclude nobody. Default: False.
    :raises RevorValueError: (a ValueError) if an entry cannot be one, or is several; it names the place, never the
        entry.
    """

    def __init__(self, exclude: Any, *, expected: bool = False) -> None:
        if expected and str(exclude).strip().lower() == "none":
            raise RevorValueError("exclude has rendered to None: to exclude nobody, use an empty list.")
        self._digests: set[str] = set()
        for position, value in enumerate(_listed(exclude)):
            try:
                _check_alone(value)
                digests = digests_of(value)
                if not digests and isinstance(value, Mapping):
                    raise ValueError("has no address, profile_url or phone")
                self._digests.update(digests)
            except ValueError as e:
                raise RevorValueError(
                    f"exclude[{position}] {e}: use an address, a profile URL, a phone, or what person_digest() returns."
                ) from None

    def __contains__(self, recipient: Mapping[str, Any]) -> bool:
        """Return whether a recipient, or any of a person's addresses, is excluded."""
        return bool(self._digests) and not self._digests.isdisjoint(digests_of(recipient))


def _alone(value: Any) -> str:
    """Return a text without blanks around it, and the address in ``Ada <ada@example.com>``."""
    text = str(value).strip()
    return named[1] if (named := _NAMED.fullmatch(text)) else text


def _check_alone(value: Any) -> None:
    """Refuse an entry with several people in it, or more than an address: taken for one, it would exclude nobody."""
    values = [value.get(name) for name in _FIELDS] if isinstance(value, Mapping) else [value]
    texts = [_alone(one) for one in values if isinstance(one, str)]
    if any(map(_NOT_ALONE.search, texts)):
        raise ValueError("is not one entry alone")
    if any(map(_NO_ADDRESS.fullmatch, texts)) or (isinstance(value, str) and _NO_PERSON.fullmatch(texts[0])):
        raise ValueError("is a domain, a file or half an address")


def _parsed(text: str) -> Any:
    # JSON first: it has `null`, and the slash in `https:\/\/` is not what Python reads there.
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text)


def _listed(exclude: Any) -> Iterable[Any]:
    if exclude is None:
        return ()
    if isinstance(exclude, str):
        # A template that renders a list to text: taken for one address, it would exclude nobody.
        text = exclude.strip()
        try:
            exclude = _parsed(text) if text[:1] in ("[", "(", "{") else text.splitlines()
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            # An address may begin with a brace.
            if not text.startswith("{"):
                raise RevorValueError("exclude is a text that begins like a list, and is none.") from None
            exclude = text.splitlines()
    check_list(exclude)
    return list(exclude)
