"""Gates and messages on PostgreSQL, Redis and Celery, with two of everything, while parts of it are killed."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("psycopg2", reason="PostgreSQL's driver is not installed")

from cluster.celery_cluster import CeleryCluster

from airflow_provider_revor.sandbox.server import Sandbox

pytestmark = pytest.mark.cluster

GATES = 40
LEADS = 20
INTERVAL = 5

DAGS = f"""
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor


def leads(dag_id):
    return [{{"address": f"{{dag_id}}-{{number:02}}@example.com"}} for number in range({LEADS})]


MAIL = dict(
    task_id="mail",
    account_id="acc_1",
    channel="email",
    content={{"subject": "Hello", "text": "Hello"}},
    retries=5,
    retry_delay=timedelta(seconds=1),
)

for name in ("gates", "gates_away"):
    with DAG(name, schedule=None):
        for number in range({GATES}):
            SendableAccountSensor(task_id=f"gate_{{number:02}}", deferrable=True, poke_interval={INTERVAL})

for name in ("worker", "triggerer", "scheduler", "redis", "postgres"):
    with DAG(name, schedule=None):
        OutreachDispatchOperator.partial(**MAIL, deferrable=name != "worker", poke_interval=5).expand(
            recipient=leads(name)
        )
"""


@pytest.fixture(scope="module")
def cluster():
    config = {"AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "10"}
    # Not in pytest's own folder, which nobody but root may enter: the servers run without root's rights.
    with tempfile.TemporaryDirectory(prefix="revor-cluster-") as folder:
        os.chmod(folder, 0o755)
        home = Path(folder, "airflow")
        home.mkdir()
        with CeleryCluster(home, {"outreach.py": DAGS}, config) as cluster:
            yield cluster


@pytest.fixture
def sandbox(cluster):
    with Sandbox(accounts=[{"account_id": "acc_1", "channel": "email"}]) as sandbox:
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        yield sandbox
        cluster.api("DELETE", "/connections/revor_default")


def wait_in_the_triggerers(cluster, dag_id, count):
    cluster.wait_for_states(dag_id, {"deferred": count}, timeout=300)
    waiting = {trigger["id"] for trigger in cluster.triggers(dag_id)}
    cluster.wait_until(lambda: waiting <= cluster.started_triggers(dag_id), "the triggers to run")


def finish(sandbox):
    for job in sandbox.jobs:
        sandbox.finish_job(job["id"])


def assert_one_message_each(cluster, sandbox, dag_id):
    sent = sorted(entry.recipient["address"] for entry in sandbox.outbox)
    assert sent == [f"{dag_id}-{number:02}@example.com" for number in range(LEADS)]
    assert len(sandbox.jobs) == LEADS
    rows = cluster.sql("SELECT value FROM xcom WHERE dag_id = ? AND key = 'job_id'", dag_id)
    values = [row["value"] if isinstance(row["value"], str) else json.dumps(row["value"]) for row in rows]
    assert sorted(value.strip('"') for value in values) == sorted(job["id"] for job in sandbox.jobs)


def test_gates_cost_a_request_per_interval_and_triggerer_and_outlive_both(cluster, sandbox):
    sandbox.update_account("acc_1", status="credentials", can_send=False)
    cluster.trigger("gates")
    wait_in_the_triggerers(cluster, "gates", GATES)
    sandbox.reset_requests()
    sandbox.wait_for_requests(8, timeout=60)
    seconds = (sandbox.requests[-1].received_at - sandbox.requests[0].received_at).total_seconds()
    # Two triggerers, each a request per interval, up to a tenth of it later.
    assert len(sandbox.requests) <= 2 * (seconds / INTERVAL + 1)

    first, *_ = cluster.triggerers
    first.kill()
    cluster.start_triggerer()
    sandbox.reconnect_all()
    cluster.wait_for_states("gates", {"success": GATES}, timeout=300)


def test_revor_is_away_for_a_while(cluster, sandbox):
    sandbox.update_account("acc_1", status="credentials", can_send=False)
    cluster.trigger("gates_away")
    wait_in_the_triggerers(cluster, "gates_away", GATES)
    sandbox.drop(times=1_000)
    sandbox.reset_requests()
    sandbox.wait_for_requests(8, timeout=60)
    assert cluster.states("gates_away") == {"deferred": GATES}
    sandbox.clear_faults()
    sandbox.reconnect_all()
    cluster.wait_for_states("gates_away", {"success": GATES}, timeout=300)


def test_a_worker_is_killed_while_its_tasks_wait(cluster, sandbox):
    sandbox.script_jobs(after=None, times=None)
    cluster.trigger("worker")
    cluster.wait_until(lambda: cluster.states("worker")["running"] >= 5, "tasks on both workers")
    victim = cluster.workers[0]
    victim.kill()
    cluster.start_worker()
    sandbox.script_jobs(times=None)
    finish(sandbox)
    cluster.wait_until(lambda: finish(sandbox) or cluster.states("worker") == {"success": LEADS}, "all", timeout=400)
    assert_one_message_each(cluster, sandbox, "worker")


def test_a_triggerer_is_killed_while_it_waits_for_jobs(cluster, sandbox):
    sandbox.script_jobs(after=None, times=None)
    cluster.trigger("triggerer")
    wait_in_the_triggerers(cluster, "triggerer", LEADS)
    first, *_ = cluster.triggerers
    first.kill()
    cluster.start_triggerer()
    finish(sandbox)
    cluster.wait_for_states("triggerer", {"success": LEADS}, timeout=300)
    assert_one_message_each(cluster, sandbox, "triggerer")


def test_a_scheduler_is_killed(cluster, sandbox):
    sandbox.script_jobs(after=None, times=None)
    cluster.trigger("scheduler")
    cluster.wait_until(lambda: sandbox.jobs, "the first message")
    first, *_ = cluster.schedulers
    first.kill()
    wait_in_the_triggerers(cluster, "scheduler", LEADS)
    finish(sandbox)
    cluster.wait_for_states("scheduler", {"success": LEADS}, timeout=300)
    cluster.start_scheduler()
    assert_one_message_each(cluster, sandbox, "scheduler")


@pytest.mark.parametrize("service", ["redis", "postgres"])
def test_a_service_restarts(cluster, sandbox, service):
    sandbox.script_jobs(after=None, times=None)
    cluster.trigger(service)
    cluster.wait_until(lambda: sandbox.jobs, "the first message")
    server = getattr(cluster, service)
    server.stop(signal.SIGINT if service == "postgres" else signal.SIGTERM)
    server.start()
    cluster.revive()
    cluster.wait_until(
        lambda: finish(sandbox) or cluster.states(service) == {"success": LEADS}, "all to succeed", timeout=400
    )
    assert_one_message_each(cluster, sandbox, service)
