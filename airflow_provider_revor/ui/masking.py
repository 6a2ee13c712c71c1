"""What of an account a person sees who may not edit its connection: nothing that identifies the owner."""

from __future__ import annotations

import re
from typing import Any

# An address, a profile's URL or a phone number, which Revor may have taken as the display name.
_IDENTIFIES = re.compile(r"@|://|/in/|\d[\d\s().-]{5,}\d")


def mask(text: str) -> str:
    """
    Return the first character and dots.

    :param text: An address, a profile URL or a phone number.
    """
    return f"{text[:1]}•••"


def masked(account: dict[str, Any]) -> dict[str, Any]:
    """
    Return an account without what identifies its owner.

    :param account: The account as the page shows it, with its ``name`` and ``account_identifier``.
    """
    identifier, name = account["account_identifier"], account["name"]
    says_it = _IDENTIFIES.search(name) or (identifier and identifier.casefold() in name.casefold())
    return {
        **account,
        "account_identifier": identifier and mask(identifier),
        "name": mask(name) if says_it else name,
    }
