"""A person ends a waiting task in a real Airflow: its jobs are cancelled. A triggerer that ends cancels nothing."""

from __future__ import annotations

import os
import signal

import pytest
from local_airflow import Component
from system.airflow_cluster import AirflowCluster

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import KILLS_TRIGGERS

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not KILLS_TRIGGERS, reason="a trigger is told of its task's end on Airflow 3.3+"),
]

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator


def message(dag_id, number=0):
    return dict(
        account_id="acc_1",
        channel="email",
        recipient={"address": f"{dag_id}-{number}@example.com"},
        content={"subject": "Hello", "text": "Hello"},
    )


COMMON = dict(task_id="send", cancel_on_kill=True, retries=2, retry_delay=timedelta(seconds=1))

for dag_id in ("failed", "cleared", "ended", "handed_over"):
    with DAG(f"one_{dag_id}", schedule=None):
        OutreachDispatchOperator(**COMMON, **message(dag_id), deferrable=True, poke_interval=5)
    with DAG(f"batch_{dag_id}", schedule=None):
        OutreachBatchOperator(
            **COMMON, messages=[message(f"batch-{dag_id}", number) for number in range(5)], poke_interval=5
        )
    with DAG(f"worker_{dag_id}", schedule=None):
        OutreachDispatchOperator(**COMMON, **message(f"worker-{dag_id}"), deferrable=False, poke_interval=2)
"""
JOBS = {"one": 1, "batch": 5, "worker": 1}
WAITS = {"one": "deferred", "batch": "deferred", "worker": "running"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), {"dags.py": DAGS}) as cluster:
        yield cluster


@pytest.fixture
def sandbox(cluster):
    """A sandbox whose jobs begin in an hour, for as long as the test lasts."""
    with Sandbox(accounts=[{"account_id": "acc_1", "channel": "email"}]) as sandbox:
        sandbox.script_jobs(scheduled_in=3_600, times=None)
        connection = {**sandbox.connection, "extra": '{"api_version": "v2"}'}
        cluster.api("POST", "/connections", connection_id="revor_default", **connection)
        yield sandbox
        cluster.api("DELETE", "/connections/revor_default")


def begin(cluster, sandbox, case):
    """Start a Dag of each kind, and return their runs once all of them wait."""
    runs = {f"{kind}_{case}": cluster.trigger(f"{kind}_{case}") for kind in JOBS}
    for kind, state in WAITS.items():
        cluster.wait_for_states(f"{kind}_{case}", {state: 1})
    cluster.wait_until(lambda: len(sandbox.jobs) == sum(JOBS.values()), "all jobs")
    for kind in ("one", "batch"):
        cluster.wait_until(lambda dag_id=f"{kind}_{case}": cluster.started_triggers(dag_id), "the trigger to run")
    return runs


def triggerers_of(cluster, dag_ids):
    """The triggerers that run these Dags' triggers; None for a trigger that waits for one."""
    return {trigger["triggerer_id"] for dag_id in dag_ids for trigger in cluster.triggers(dag_id)}


def taken_over(before, now):
    return bool(now) and None not in now and before.isdisjoint(now)


def statuses(sandbox):
    return sorted(job["status"] for job in sandbox.jobs)


def end(cluster, runs):
    """End what still waits, so that the next test finds nothing of it."""
    for dag_id, run_id in runs.items():
        cluster.api("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", state="success")


def test_marking_a_waiting_task_as_failed_cancels_its_jobs(cluster, sandbox):
    runs = begin(cluster, sandbox, "failed")
    # Meanwhile Airflow cancels each trigger once more.
    sandbox.slow(1.5, method="POST", times=sum(JOBS.values()))
    for dag_id, run_id in runs.items():
        cluster.api("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/send", new_state="failed")
    cluster.wait_until(lambda: statuses(sandbox) == ["cancelled"] * 7, "all jobs to be cancelled")
    assert all(cluster.states(dag_id) == {"failed": 1} for dag_id in runs)
    assert sandbox.outbox == []


def test_clearing_a_waiting_task_cancels_its_jobs_and_sends_again(cluster, sandbox):
    runs = begin(cluster, sandbox, "cleared")
    before = [entry.recipient for entry in sandbox.outbox]
    for dag_id in runs:
        body = {"dry_run": False, "task_ids": ["send"], "only_failed": False, "dag_run_id": runs[dag_id]}
        cluster.api("POST", f"/dags/{dag_id}/clearTaskInstances", **body)
    once_more = ["cancelled"] * 7 + ["scheduled"] * 7
    cluster.wait_until(lambda: statuses(sandbox) == once_more, "all jobs to be cancelled and sent again")
    for kind, state in WAITS.items():
        cluster.wait_for_states(f"{kind}_cleared", {state: 1})
    assert sorted(map(str, before)) == sorted(str(entry.recipient) for entry in sandbox.outbox)
    assert statuses(sandbox) == once_more
    end(cluster, runs)


def test_a_triggerer_whose_triggers_another_one_took_over_cancels_nothing(cluster, sandbox):
    runs = begin(cluster, sandbox, "handed_over")
    deferred = [dag_id for dag_id in runs if not dag_id.startswith("worker")]
    before = triggerers_of(cluster, deferred)
    (frozen,) = cluster.triggerers
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        cluster.start_triggerer()
        cluster.wait_until(lambda: taken_over(before, triggerers_of(cluster, deferred)), "the other one to take over")
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    # Airflow 3.3 ends the triggers of the first one as if a person had ended their tasks.
    for dag_id in deferred:
        cluster.wait_until(lambda name=dag_id: "No outreach is cancelled" in cluster.task_log(name, "send"), "a look")
    assert statuses(sandbox) == ["scheduled"] * sum(JOBS.values())
    frozen.stop()
    end(cluster, runs)


def test_triggerers_that_end_cancel_nothing(cluster, sandbox):
    runs = begin(cluster, sandbox, "ended")
    deferred = [dag_id for dag_id in runs if not dag_id.startswith("worker")]
    sandbox.reset_requests()
    for stop in (Component.kill, Component.stop):
        (triggerer,) = cluster.triggerers
        before = triggerers_of(cluster, deferred)
        stop(triggerer)
        cluster.start_triggerer()
        cluster.wait_until(
            lambda before=before: taken_over(before, triggerers_of(cluster, deferred)), "the next one to take over"
        )
    for kind, state in WAITS.items():
        assert cluster.states(f"{kind}_ended") == {state: 1}
    assert statuses(sandbox) == ["scheduled"] * 7
    # Nothing was sent or cancelled meanwhile.
    assert {record.method for record in sandbox.requests} <= {"GET"}
    end(cluster, runs)
