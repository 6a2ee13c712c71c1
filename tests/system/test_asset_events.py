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
DAG = "example_on_account_blocked"
ACCOUNTS = [f"acc_{number}" for number in range(4)]


# Without it (Airflow 3.3), a run has all the events that there are.
HAS_THE_OPTION = hasattr(Timetable, "batch_asset_events")


@pytest.mark.parametrize("batch", [True, False] if HAS_THE_OPTION else [True])
def test_each_account_that_falls_out_is_reported_once(tmp_path, batch):
    config = {"AIRFLOW__SCHEDULER__BATCH_ASSET_EVENTS": str(batch)}
    accounts = [{"account_id": name, "channel": "email"} for name in ACCOUNTS]
    with Sandbox(accounts=accounts) as sandbox, AirflowCluster(tmp_path, {"example.py": EXAMPLE}, config) as cluster:
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        sandbox.wait_for_requests(4, timeout=120)
        for name in ACCOUNTS:
            sandbox.update_account(name, can_send=False)

        def reports():
            """What the task of each run that has succeeded returned."""
            runs = cluster.api("GET", f"/dags/{DAG}/dagRuns")["dag_runs"]
            entry = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/tell/xcomEntries/return_value"
            done = [entry.format(**run) for run in runs if run["state"] == "success"]
            values = [cluster.api("GET", path)["value"] for path in done]
            return [json.loads(value) if isinstance(value, str) else value for value in values]

        cluster.wait_until(lambda: sum(map(len, reports())) >= len(ACCOUNTS), "a report of each account")
        sandbox.wait_for_requests(sandbox.request_count + 4, timeout=120)
        runs = reports()
        assert sorted(line.split()[1] for line in itertools.chain(*runs)) == ACCOUNTS
        assert len(runs) == len(ACCOUNTS) or batch or not HAS_THE_OPTION
