"""Where the command line has its API key from: an Airflow connection, or the variables of Revor's own clients."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_revor.exceptions import RevorMissingConnectionError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.settings import Settings, read_settings
from airflow_provider_revor.version_compat import mask_secret

KEY_VARIABLE = "REVOR_API_KEY"
URL_VARIABLE = "REVOR_BASE_URL"


@dataclass
class _Variables:
    """The environment, in the shape of an Airflow connection."""

    conn_id: str
    host: str | None
    password: str | None
    port: int | None = None
    schema: str | None = None
    extra: str | None = None


class CommandLineHook(RevorHook):
    """
    The hook of the command line.

    :param conn_id: The Airflow connection; None for ``revor_default`` or, where Airflow has none, ``REVOR_API_KEY``.
    """

    def __init__(self, conn_id: str | None) -> None:
        super().__init__(conn_id or self.default_conn_name)
        self._may_use_variables = conn_id is None

    @classmethod
    def get_connection(cls, conn_id: str) -> Any:
        """
        Return a connection, from the metadata database, too: from Airflow 3 on, a hook outside a task leaves that out.

        :param conn_id: The Airflow connection.
        """
        from airflow.models.connection import Connection

        return Connection.get_connection_from_secrets(conn_id)

    @cached_property
    def settings(self) -> Settings:
        """What the connection or the environment says, read once."""
        try:
            return RevorHook.settings.func(self)  # type: ignore[attr-defined, no-any-return]
        except RevorMissingConnectionError as e:
            if not self._may_use_variables:
                raise
            if not os.environ.get(KEY_VARIABLE):
                raise RevorMissingConnectionError(f"{e} Or set {KEY_VARIABLE} in this shell.") from e
        self.revor_conn_id = KEY_VARIABLE
        settings = read_settings(_Variables(KEY_VARIABLE, os.environ.get(URL_VARIABLE), os.environ[KEY_VARIABLE]))
        mask_secret(settings.api_key)
        return settings
