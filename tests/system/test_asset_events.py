"""The example that an asset's events start, in a real Airflow, with a Dag run per event and per batch of events."""

from __future__ import annotations

import itertools
import json

import pytest
from airflow.timetables.base import Timetable
from project import ROOT
from system.airflow_cluster import AirflowCluster

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not START_FROM_TRIGGER, reason="the cluster of these tests takes Airflow 3.3+"),
]

# The example as it is, but for an interval that a test can wait for.
EXAMPLE = (
    (ROOT / "example_dags" / "example_on_account_ready.py")
    .read_text()
    .replace("SendableAccountEventTrigger(", "SendableAccountEventTrigger(poke_interval=3, ")
)
DAG = "example_on_account_ready"
ACCOUNTS = [f"acc_{number}" for number in range(4)]


# Without it (Airflow 3.3), a run has all the events that there are.
HAS_THE_OPTION = hasattr(Timetable, "batch_asset_events")


@pytest.mark.parametrize("batch", [True, False])
def test_outreach_begins_once_from_each_account_that_became_ready(tmp_path, batch):
    config = {"AIRFLOW__SCHEDULER__BATCH_ASSET_EVENTS": str(batch)}
    with Sandbox() as sandbox, AirflowCluster(tmp_path, {"example.py": EXAMPLE}, config) as cluster:
        sandbox.set_accounts([{"account_id": name, "channel": "email", "can_send": False} for name in ACCOUNTS])
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        sandbox.wait_for_requests(sandbox.request_count + 4, timeout=120)
        for name in ACCOUNTS:
            sandbox.update_account(name, can_send=True)

        def begun():
            """The accounts that each run which has succeeded began with."""
            runs = cluster.api("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]
            entries = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/begin/xcomEntries/return_value"
            done = [entries.format(**run) for run in runs if run["state"] == "success"]
            values = [cluster.api("GET", entry)["value"] for entry in done]
            return [json.loads(value) if isinstance(value, str) else value for value in values]

        cluster.wait_until(lambda: sum(map(len, begun())) >= len(ACCOUNTS), "a start for each account")
        sandbox.wait_for_requests(sandbox.request_count + 4, timeout=120)
        runs = begun()
        assert sorted(itertools.chain(*runs)) == ACCOUNTS
        assert len(runs) == len(ACCOUNTS) or batch or not HAS_THE_OPTION
