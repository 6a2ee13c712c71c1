from __future__ import annotations

import json
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


@pytest.fixture
def ready(revor_sandbox: Sandbox) -> Sandbox:
    """Return a sandbox with one usable account of each channel."""
    revor_sandbox.set_accounts(
        [{"account_id": f"acc_{channel}", "channel": channel} for channel in ("email", "linkedin", "whatsapp")]
    )
    return revor_sandbox


@pytest.fixture
def post(ready: Sandbox) -> Callable[..., requests.Response]:
    """POST a body to an outreach path, as JSON unless it is bytes."""

    def send(path: str, body: object, key: str | None = None, timeout: float = 30) -> requests.Response:
        return requests.post(
            f"{ready.url}/api/v1/outreach{path}",
            headers={"x-api-key": ready.api_key, **({"Idempotency-Key": key} if key else {})},
            data=body if isinstance(body, bytes) else json.dumps(body).encode(),
            timeout=timeout,
        )

    return send


@pytest.fixture
def read_job(ready: Sandbox) -> Callable[[str], requests.Response]:
    """GET a job."""

    def send(job_id: str) -> requests.Response:
        return requests.get(
            f"{ready.url}/api/v1/outreach/jobs/{job_id}", headers={"x-api-key": ready.api_key}, timeout=30
        )

    return send


@pytest.fixture
def control(revor_sandbox: Sandbox) -> Callable[..., requests.Response]:
    """Send a request to the control API."""

    def send(method: str, path: str, json: object = None) -> requests.Response:
        return requests.request(method, f"{revor_sandbox.url}/sandbox{path}", json=json, timeout=30)

    return send
