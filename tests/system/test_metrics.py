"""A triggerer counts, too: what a gate that takes no worker sends to a StatsD server."""

from __future__ import annotations

import socket

import pytest
from system.airflow_cluster import AirflowCluster

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not START_FROM_TRIGGER, reason="a gate starts from its trigger on Airflow 3.3+"),
]

DAG = """
from airflow.sdk import DAG
from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG("counted", schedule=None):
    SendableAccountSensor(task_id="gate", poke_interval=2, start_from_trigger=True)
"""


def test_a_gate_counts_in_the_triggerer(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, Sandbox() as sandbox:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        config = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(server.getsockname()[1]),
            "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "revor",
        }
        sandbox.set_accounts([{"account_id": "acc_email", "channel": "email"}])
        lines = set()

        def counted():
            try:
                while True:
                    lines.update(server.recv(65_536).decode().splitlines())
            except TimeoutError:
                return "airflow.revor.accounts.sendable.revor_default.email:1|g" in lines

        with AirflowCluster(tmp_path, {"dag.py": DAG}, config) as cluster:
            cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
            cluster.trigger("counted")
            cluster.wait_for_states("counted", {"success": 1})
            cluster.wait_until(counted, "the metrics")
            assert cluster.finished_runs("counted") == 0
        assert "airflow.revor.requests.revor_default.success:1|c" in lines
        assert not [line for line in lines if "acc_email" in line]
