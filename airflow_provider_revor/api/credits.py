"""
The credits that are left. v2 only.

Source: ``GET /api/v2/credits``.
"""

from __future__ import annotations

import sys

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
    :raises RevorResponseError: if they are not there, or no finite number.
    """
    # It is either at the top level or in `item`.
    value, item = envelope.body.get("available_credits"), envelope.body.get("item")
    if value is None and isinstance(item, dict):
        value = item.get("available_credits")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
        raise envelope.malformed("available_credits", "a finite number", value)
    return float(value)
