"""How messages name a connection and its fields: by its id, or as whoever has its form open sees them."""

from __future__ import annotations

import re
from typing import NamedTuple


class Names(NamedTuple):
    """
    What messages call a connection and its fields.

    :param connection: The connection.
    :param key: The field of the API key.
    :param host: The field of the base URL.
    """

    connection: str
    key: str
    host: str

    @classmethod
    def of(cls, conn_id: str | None) -> Names:
        """
        Return the names for a connection.

        :param conn_id: The Airflow connection; None for the one whose form is open: its id may be one that Airflow
            makes up for the test, and its fields have the form's labels.
        """
        if conn_id is None:
            return cls("this connection", "the field API key", "the field Base URL")
        connection = f"connection {conn_id!r}"
        return cls(connection, f"the password of {connection}", f"the host of {connection}")

    def fill(self, template: str) -> str:
        """
        Return a sentence, with a capital letter at its beginning.

        :param template: The sentence, with names in braces, as in ``Check {host}``; other braces stay.
        """
        sentence = re.sub(r"\{(connection|key|host)\}", lambda match: str(getattr(self, match[1])), template)
        return sentence[0].upper() + sentence[1:]
