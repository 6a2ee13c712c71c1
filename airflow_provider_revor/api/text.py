"""
Cleans a peer's text before an error, a log line or the Test button quotes it.

The peer may be Revor, a proxy or any other server. Its text is put on one line, without control characters, is limited
in length, and never shows an API key, in any spelling.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode
from functools import lru_cache
from typing import Any

MASK = "***"

_LONGEST_TEXT = 500
_LONGEST_ID = 100
# Some more characters than the longest text has, because cleaning removes some.
_WINDOW = 4_000
# The most characters that one character of a key takes in any spelling, with what separates it from the next.
_LONGEST_SPELLING = 24
_MOST_KEYS = 64
# Settings reject a shorter key: hiding it would change ordinary words.
_SHORTEST_KEY = 8

# The API keys that this process has used, oldest first. They belong to the process, like the secrets that Airflow
# masks: code that quotes a peer often does not know the connection.
_keys: dict[str, None] = {}


def hide(key: str) -> None:
    """
    Hide this API key in all texts that this process quotes from now on.

    :param key: The key.
    """
    if len(key) >= _SHORTEST_KEY:
        _keys[key] = None
        for oldest in list(_keys)[:-_MOST_KEYS]:
            _keys.pop(oldest, None)


def plain_text(value: Any) -> str | None:
    """
    Return a peer's text, safe to quote: on one line, at most 500 characters long, without any API key.

    :param value: Anything that a peer sent.
    :return: None if it is no string, or a blank one.
    """
    return _clean(value, _LONGEST_TEXT)


def clean_id(value: Any) -> str | None:
    """
    Return an id, a code or a status, safe to quote: like :func:`plain_text`, at most 100 characters long.

    :param value: Anything that a peer sent.
    :return: None if it is no string, or a blank one.
    """
    return _clean(value, _LONGEST_ID)


def _clean(value: Any, longest: int) -> str | None:
    if not isinstance(value, str):
        return None
    keys = tuple(_keys)
    # The key is hidden before the text is cut, and what the window itself cuts off may be the beginning of a key.
    unsure = _LONGEST_SPELLING * max(map(len, keys), default=0)
    window = _WINDOW + unsure
    line = " ".join("".join(c if c.isprintable() else " " for c in value[:window]).split())
    for key in keys:
        line = _spellings(key).sub(MASK, line)
    if len(value) > window:
        line = line[: max(len(line) - unsure, 0)].rstrip()
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    return line or None


@lru_cache(maxsize=_MOST_KEYS)
def _spellings(key: str) -> re.Pattern[str]:
    """Return the pattern of a key: as it is, escaped, or in Base64, in any case, and split by blanks."""
    encoded = {_in_base64(key, offset) for offset in range(3)}
    written = [[_escaped(c) for c in key], *([re.escape(c) for c in text] for text in sorted(encoded))]
    # Cleaning leaves single blanks and characters beyond ASCII, some of which have no width.
    return re.compile("|".join("[^!-~]{0,4}".join(characters) for characters in written), re.IGNORECASE)


def _escaped(character: str) -> str:
    """Return the pattern of a character in plain text, JSON, a URL, HTML, or the ``repr`` of one of these."""
    code = ord(character)
    plain = {re.escape(character), re.escape(html.escape(character))}
    # Longer forms first: `u` alone would match the beginning of its own escape, and `&` that of `&amp;`.
    return (
        rf"(?:(?:\\{{1,4}}|%)(?:u(?:0000)?00|x|u\{{){code:02x}\}}?|%(?:25){{0,3}}{code:02x}|&#(?:0{{0,4}}{code}|x0{{0,4}}{code:02x});?"
        rf"|\\{{0,4}}(?:{'|'.join(sorted(plain, key=len, reverse=True))}))"
    )


def _in_base64(key: str, offset: int) -> str:
    """Return how the key shows in the Base64 of a text that has so many bytes, modulo 3, before the key."""
    data = bytes(offset) + key.encode()
    first, last = (0, 2, 3)[offset], len(data) * 8 // 6
    return b64encode(data).decode()[first:last]
