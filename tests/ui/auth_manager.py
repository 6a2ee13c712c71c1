"""
An auth manager in which people may differ, for a real API server.

``admin`` may do anything, ``reader`` may read all connections but ``revor_secret`` and edit none, and may not see the
Dag ``secret_dag``; ``viewer`` may read no connection.
"""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class PickyAuthManager(SimpleAuthManager):
    def is_authorized_connection(self, *, method, user, details=None):
        if user.username != "reader":
            return super().is_authorized_connection(method=method, user=user, details=details)
        return method == "GET" and (details is None or details.conn_id != "revor_secret")

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        if user.username == "reader" and details is not None and details.id == "secret_dag":
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
