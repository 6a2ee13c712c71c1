from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from airflow_provider_revor.sandbox import Sandbox

PATH = "/api/v1/connect/accounts"


@pytest.fixture
def get(revor_sandbox: Sandbox) -> Callable[..., requests.Response]:
    """GET the accounts with the right key, unless told other headers."""

    def send(query: str = "", headers: dict[str, str] | None = None, timeout: float = 30) -> requests.Response:
        if headers is None:
            headers = {"Authorization": f"Bearer {revor_sandbox.api_key}"}
        return requests.get(f"{revor_sandbox.url}{PATH}{query}", headers=headers, timeout=timeout)

    return send
