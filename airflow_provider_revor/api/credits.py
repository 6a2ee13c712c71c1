"""
The credits that are left. v2 only.

Source: ``GET /api/v2/credits``.
"""

from __future__ import annotations

from airflow_provider_revor.api.answers import Envelope
from airflow_provider_revor.api.versions import ApiVersion
from airflow_provider_revor.api.wire import Request


def credits_request() -> Request:
    """Return the request for the credits."""
    return Request("GET", f"{ApiVersion.V2.root}/credits")


def read_credits(envelope: Envelope) -> float:
    """
    Return the credits that are available.

    :param envelope: The decoded response.
    :raises RevorResponseError: if they are not there, or no number.
    """
    # It is either at the top level or in `item`.
    item = envelope.body.get("item")
    value = envelope.body.get("available_credits", item.get("available_credits") if isinstance(item, dict) else None)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise envelope.malformed("available_credits", "a number", value)
    return float(value)
