"""Looking up the Airflow connection, and telling apart why there is none."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_revor.api.accounts import is_nothing
from airflow_provider_revor.exceptions import RevorConfigurationError, RevorMissingConnectionError, RevorValueError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


def look_up(get_connection: Callable[[str], Connection], conn_id: str) -> Connection:
    """
    Return an Airflow connection.

    :param get_connection: How this Airflow looks it up.
    :param conn_id: The connection.
    :raises RevorValueError: (a ValueError) if that names no connection.
    :raises RevorMissingConnectionError: if Airflow finds no such connection, or cannot read it.
    :raises RevorConfigurationError: if an environment variable defines it in a way that Airflow cannot read.
    """
    # A template that rendered to nothing, or a setting that a Dag's author has not found.
    if is_nothing(conn_id) or not isinstance(conn_id, str):
        raise RevorValueError(
            f"revor_conn_id is {conn_id!r}: it must name an Airflow connection. Leave it out for 'revor_default'."
        )
    try:
        return get_connection(conn_id)
    # When a secrets backend or the API server fails, Airflow mostly says "not found", but not on every version.
    except Exception as e:
        trouble = None if isinstance(e, AirflowNotFoundException) else type(e).__name__
    # Raised outside of the `except` block: Airflow's error may quote the connection, and with it the API key.
    if trouble:
        raise RevorMissingConnectionError.of(
            f"Airflow could not read the connection {conn_id!r} ({trouble}).",
            "Check the secrets backend and the API server.",
        )
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if os.environ.get(variable):
        # Airflow skips a value that it cannot parse.
        raise RevorConfigurationError.of(
            f"The environment variable {variable} is set, but Airflow cannot read it as a connection.",
            'Write a JSON object such as {"conn_type": "revor", "password": "sk-revor-…"}, or a URI whose special '
            "characters are percent-encoded.",
        )
    raise RevorMissingConnectionError.of(
        f"There is no Airflow connection {conn_id!r}.",
        "Create one of type `revor`, with the API key as its password. If it exists, Airflow could not read it: check "
        "the secrets backend and the API server.",
    )
