"""
Who is one person: one text for all spellings of a recipient.

Two people never get the same text, because the second of them would get no message. So only what is known to be a
spelling is normalized; everything else stays as it is. The same in every process. Keys are made of it, so a change
here changes keys: a person who was written to before would be written to again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

# Marks of direction, zero-width and control characters come along when text is copied.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
# Joiners between two characters beyond ASCII stay: Persian words, domains and emoji differ by them.
_STRAY_JOINER = re.compile(r"(?<![^\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\x7f])")

# LinkedIn's own ids, as in /in/ACoAAB…, are case-sensitive. A vanity name is not, and may be written in capitals.
_MEMBER_ID = re.compile(r"(?=.*[a-z])A[A-Z][A-Za-z]AA[A-Za-z0-9_-]+")
# The same pages for phones and in LinkedIn's own emails.
_IN_PREFIXES = ("comm", "m", "mwlite")
# Sales Navigator and Recruiter put a search type and a token after the id: /sales/lead/<id>,NAME_SEARCH,<token>.
_ID_PATHS = {
    ("sales", "lead"): "sales/lead",
    ("sales", "people"): "sales/lead",
    ("sales", "profile"): "sales/lead",
    ("talent", "profile"): "talent/profile",
    ("recruiter", "profile"): "recruiter/profile",
}

_CALLS = ("tel", "sms", "callto", "whatsapp")
_SHORT_LINKS = ("wa.me", "www.wa.me")
_WHATSAPP_HOSTS = (*_SHORT_LINKS, "whatsapp.com", "www.whatsapp.com", "api.whatsapp.com", "web.whatsapp.com")
_JID = re.compile(r"(\d+)(?:[.:]\d+)*@(?:s\.whatsapp\.net|c\.us)", re.ASCII)
_PHONE = re.compile(r"[\s(]*\+?[\d\s()./\u00b7\u2010-\u2015\u2212-]+")
# As in +49 (0) 30 …: the zero after the country is for calls within it. Elsewhere it may be a part of the number.
_TRUNK_ZERO = re.compile(r"^([\s(]*(?:\+|00)\s*[1-9]\d{0,2}[\s)]*)\(\s*0\s*\)")
# E.164. What is shorter or longer is a contact identifier that happens to have digits only.
_SHORTEST_NUMBER, _LONGEST_NUMBER = 7, 15
_LONGEST_SPELLING = 100

# RFC 1035. Also keeps old versions of idna from spending minutes on a hostile name.
_LONGEST_DOMAIN = 253


def person(recipient: Mapping[str, Any]) -> str:
    """
    Return one text for all spellings of a recipient.

    :param recipient: A dict with an ``address``, a ``profile_url`` or a ``phone``; the first of them counts.
    :raises ValueError: if it has none of them.
    """
    for field, normalize in (("address", _address), ("profile_url", _profile), ("phone", _phone)):
        if value := recipient.get(field):
            return f"{field}:{normalize(_visible(str(value)))}"
    raise ValueError("A recipient has an address, a profile_url or a phone.")


def _visible(text: str) -> str:
    """Return a text without zero-width characters, full-width letters as ordinary ones, accents composed."""
    shown = _STRAY_JOINER.sub("", _INVISIBLE.sub("", text).strip())
    # Not NFKC for the whole text: x² and x2 may be two people.
    narrow = (unicodedata.normalize("NFKC", c) if unicodedata.east_asian_width(c) in "FH" else c for c in shown)
    return unicodedata.normalize("NFC", "".join(narrow)).strip()


def _lower(text: str) -> str:
    # Not casefold(), which makes strauss of strauß: they are two people.
    return unicodedata.normalize("NFC", text.lower())


def _address(text: str) -> str:
    if text[:7].lower() == "mailto:":
        text = _visible(unquote(text[7:].partition("?")[0]))
    local, at, domain = text.rpartition("@")
    # RFC 5321 lets a host distinguish the case of the local part; in practice, it is one mailbox. Tags and dots are
    # kept: whether ada+x is ada depends on the host.
    return f"{_lower(local)}{at}{_domain(domain)}"


def _domain(name: str) -> str:
    lower = _lower(name).rstrip(".")
    if lower.isascii() or len(lower) > _LONGEST_DOMAIN:
        return lower
    import idna

    try:
        return idna.encode(lower, uts46=True).decode().rstrip(".")
    # A name that DNS cannot hold. An overlong label is an IndexError in some versions.
    except (UnicodeError, IndexError):
        return lower


def _profile(text: str) -> str:
    url = _url(text)
    host = (url.hostname or "").rstrip(".") if url else ""
    if url is None or not (host == "linkedin.com" or host.endswith(".linkedin.com")):
        return text
    # Hosts of countries and of phones show the same people.
    return f"linkedin.com/{_profile_path(url)}"


def _profile_path(url: SplitResult) -> str:
    # Bytes that are no UTF-8 stay different from each other.
    steps = [_visible(unquote(step, errors="surrogateescape")) for step in url.path.split("/") if step]
    where = [step.lower() for step in steps]
    if where and where[0] in _IN_PREFIXES:
        steps, where = steps[1:], where[1:]
    if where[:1] == ["in"] and len(steps) > 1:
        # What follows the name is a language or a part of the profile.
        return f"in/{steps[1] if _MEMBER_ID.fullmatch(steps[1]) else _lower(steps[1])}"
    if len(steps) > 2 and (path := _ID_PATHS.get((where[0], where[1]))):
        name = steps[2].partition(",")[0]
        return f"{'in' if _MEMBER_ID.fullmatch(name) else path}/{name}"
    query = parse_qs(url.query)
    if where == ["profile", "view"] and "id" in query:
        return f"profile/view?id={query['id'][0]}"
    return "/".join(steps) + (f"?{url.query}" if url.query else "")


def _phone(text: str) -> str:
    number = _number_in(text)
    if len(number) > _LONGEST_SPELLING or not _PHONE.fullmatch(number):
        return text
    digits = _TRUNK_ZERO.sub(r"\1", number)
    # Without + or 00, too, digits are read as WhatsApp reads them: the country comes first. A number that begins with
    # one zero has no country, so it stays apart from the same number with one.
    digits = re.sub(r"\D", "", digits).removeprefix("00")
    return digits if _SHORTEST_NUMBER <= len(digits) <= _LONGEST_NUMBER else text


def _number_in(text: str) -> str:
    """Return the number that a link or an id of WhatsApp's holds, or the text itself."""
    # Digits of other scripts are digits.
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    if jid := _JID.fullmatch(text.lower()):
        return jid[1]
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in _CALLS and not rest.startswith("//send"):
        return unquote(re.sub(r";phone-context=[^;]*|\?.*", "", rest)).strip("/ ")
    url = _url(text)
    if url is None or not (url.hostname in _WHATSAPP_HOSTS or url.scheme == "whatsapp"):
        return text
    if phone := parse_qs(url.query.replace("+", "%2B")).get("phone"):
        return phone[0].strip()
    # Not wa.me/message/…, which is a name that WhatsApp made.
    name = unquote(url.path).strip("/ ")
    return name if url.hostname in _SHORT_LINKS and "/" not in name else text


def _url(text: str) -> SplitResult | None:
    """Return a link's parts, also of one without a scheme; None for what is no link."""
    try:
        return urlsplit(text if re.match(r"[A-Za-z]+://", text) else f"https://{text.lstrip('/')}")
    except ValueError:
        return None
