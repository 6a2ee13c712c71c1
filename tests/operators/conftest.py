from __future__ import annotations

import pytest


@pytest.fixture
def ready(revor_sandbox, connect, monkeypatch):
    """A sandbox with a usable account of each channel, and a connection that does not wait for long."""
    # Full jitter: what has no hint would wait up to a second.
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key, extra={"timeout": 5})
    channels = ("email", "linkedin", "whatsapp")
    revor_sandbox.set_accounts([{"account_id": f"acc_{channel}", "channel": channel} for channel in channels])
    return revor_sandbox
