"""
Who is one person: one spelling for all spellings of a recipient.

Two people must never share a spelling, or the second would get no message. Two spellings of one person should be one,
or that person would get two. A difference that may be one between people is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

# Letters and signs as East Asian keyboards type them, to ASCII.
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}

# LinkedIn's own ids of its members, in place of a name: case-sensitive.
_MEMBER_ID = r"A[A-Z][A-Za-z]AA[\w-]+"

_PHONE = r"\+?[\d\s().\-/\u00b7\u2010-\u2015]*\d[\d\s().\-/\u00b7\u2010-\u2015]*"
_SHORTEST_PHONE = 6
_PHONE_SCHEME = r"(tel|sms|whatsapp|callto):(//)?"
_JID = r"(\d+)(:\d+)?@(s\.whatsapp\.net|c\.us)"
_WHATSAPP_HOSTS = ("wa.me", "whatsapp.com")


def person(recipient: Mapping[str, Any]) -> str:
    """
    Return one spelling for all spellings of a recipient.

    :param recipient: A dict with an ``address``, a ``profile_url`` or a ``phone``; the first of them counts.
    :raises ValueError: if it has none of them.
    """
    for field, normalize in (("address", _address), ("profile_url", _profile), ("phone", _phone)):
        if value := recipient.get(field):
            return f"{field}:{normalize(_plain(str(value)))}"
    raise ValueError("A recipient has an address, a profile_url or a phone.")


def _plain(text: str) -> str:
    """Return a text without spaces around it and without signs that nobody sees, in Unicode's composed form."""
    composed = unicodedata.normalize("NFC", text.translate(_WIDE))
    return "".join(c for c in composed if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace()).strip()


def _lower(text: str) -> str:
    # Not casefold, which would make one of strauß@ and strauss@. Composed again: lower case may take letters apart.
    return unicodedata.normalize("NFC", text.lower())


def _address(text: str) -> str:
    if re.match("mailto:", text, re.IGNORECASE):
        text = unquote(text.split(":", 1)[1].partition("?")[0]).strip()
    mailbox, at, domain = text.rpartition("@")
    return f"{_lower(mailbox)}{at}{_domain(domain)}" if at else _lower(text)


def _domain(name: str) -> str:
    """Return a domain in ASCII, as DNS knows it."""
    name = name.strip().rstrip(".")
    if name.isascii():
        return name.lower()
    import idna

    try:
        return idna.encode(name, uts46=True).decode()
    # A name that DNS cannot hold. An overlong label is an IndexError in some versions.
    except (UnicodeError, IndexError):
        return _lower(name)


def _profile(text: str) -> str:
    try:
        url = urlsplit(text if re.match(r"\w+://", text) else f"https://{text.lstrip('/')}")
        host = (url.hostname or "").rstrip(".").removeprefix("www.")
    except ValueError:
        return text
    # LinkedIn's hosts of countries and of phones show the same people.
    if host != "linkedin.com" and not host.endswith(".linkedin.com"):
        return _unchanged(host, url)
    steps = [_plain(step) for step in unquote(url.path).split("/") if step.strip()]
    folded = [step.lower() for step in steps]
    # /sales/lead/<id>,<search>,<token>: the id is the person, the rest tells how it was found.
    if folded[:2] in (["sales", "lead"], ["sales", "people"], ["sales", "profile"]) and len(steps) > 2:
        member = steps[2].partition(",")[0]
        return f"linkedin.com/in/{member}" if _is_member_id(member) else f"linkedin.com/sales/{member}"
    # Around a profile's name is a language, or what tells where the link was found, as in /comm/in/….
    if "in" in folded[:2] and len(steps) > (at := folded.index("in")) + 1:
        name = steps[at + 1]
        return f"linkedin.com/in/{name if _is_member_id(name) else _lower(name)}"
    return _unchanged("linkedin.com", url)


def _is_member_id(name: str) -> bool:
    return re.fullmatch(_MEMBER_ID, name, re.ASCII) is not None


def _unchanged(host: str, url: SplitResult) -> str:
    """Return an address of a page in which any letter may matter."""
    steps = [step for step in unquote(url.path).split("/") if step]
    return "/".join([host, *steps, *([f"?{url.query}"] if url.query else [])])


def _phone(text: str) -> str:
    text = _without_link(text)
    if jid := re.fullmatch(_JID, text, re.IGNORECASE):
        return jid[1]
    if re.fullmatch(_PHONE, text):
        # As in +49 (0) 30 …: the zero is for those who call from within.
        digits = "".join(str(unicodedata.decimal(c)) for c in text.replace("(0)", "") if c.isdecimal())
        if len(digits) >= _SHORTEST_PHONE:
            return digits if text.startswith("+") else digits.removeprefix("00")
    # A contact identifier of WhatsApp's or Revor's, in which any letter may matter.
    return f"id:{text}"


def _without_link(text: str) -> str:
    """Return the number of a link that opens a chat or a call."""
    if scheme := re.match(_PHONE_SCHEME, text, re.IGNORECASE):
        text = text[scheme.end() :].strip()
        if text.lower().startswith("send"):
            return _parameter(text.partition("?")[2]) or text
        return unquote(text.partition(";")[0].partition("?")[0]).strip()
    try:
        url = urlsplit(text if re.match(r"\w+://", text) else f"https://{text}")
        host = (url.hostname or "").removeprefix("www.")
    except ValueError:
        return text
    if host not in _WHATSAPP_HOSTS and not host.endswith(".whatsapp.com"):
        return text
    return _parameter(url.query) or unquote(url.path.strip("/").removeprefix("send")).strip("/ ") or text


def _parameter(query: str) -> str:
    # A plus stands for a space in a query, and for itself in a number.
    return parse_qs(query.replace("+", "%2B")).get("phone", [""])[0].strip()
