"""A real API server on the metadata database of the tests."""

from __future__ import annotations

import json
import os
import secrets
import time
from functools import cache
from pathlib import Path

import requests
from local_airflow import HOST, Component, free_port

EVIL = "<script>alert(1)</script>"
USERS = {"admin": "admin", "reader": "op", "viewer": "viewer"}


class ApiServer:
    """
    A real API server.

    :param home: A folder for its log.
    :param config: More of Airflow's options, as environment variables.
    """

    def __init__(self, home: Path, **config: str) -> None:
        self.url = f"http://{HOST}:{(port := free_port())}"
        self.page = f"{self.url}/revor"
        self._home = home
        (passwords := home / "passwords.json").write_text(json.dumps({name: name for name in USERS}))
        self._env = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__AUTH_MANAGER": "auth_manager.PickyAuthManager",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            **config,
        }

    def __enter__(self):
        self.component = Component(["api-server", "--workers", "1"], self._env, self._home / "api-server.log")
        end = time.monotonic() + 120
        while True:
            try:
                requests.get(f"{self.url}/api/v2/version", timeout=10)
            except requests.ConnectionError:
                assert self.component.alive, self.component.tail()
                assert time.monotonic() < end, self.component.tail()
                time.sleep(0.2)
            else:
                return self

    def __exit__(self, *_):
        self.component.kill()

    @cache  # noqa: B019  # For as long as the session lasts.
    def token(self, user: str) -> str:
        """Log in; the passwords are the names."""
        response = requests.post(f"{self.url}/auth/token", json={"username": user, "password": user}, timeout=30)
        return response.json()["access_token"]

    def get(self, path: str, user: str | None = None) -> requests.Response:
        """GET a page as a browser does, with the cookie of whoever has logged in."""
        cookies = {"_token": self.token(user)} if user else {}
        return requests.get(f"{self.page}{path}", cookies=cookies, timeout=30, allow_redirects=False)
