"""Deferred gates in a real Airflow, with real triggerers and workers, against the sandbox over real sockets."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import pytest
from system.airflow_cluster import AirflowCluster
from system.length import by_length

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import SHARED_POLLS

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not SHARED_POLLS, reason="gates share polls on Airflow 3.3+"),
]

CHANNELS = ("email", "linkedin", "whatsapp")
KEY = "sk-revor-canary-5f1d9c"

# Each test's Dag: its gates, and their poke_interval.
DAGS = {
    "shared": (by_length(40, 100), 5),
    "crash": (by_length(12, 30), 2),
    "cleared": (12, 2),
    "two_triggerers": (by_length(20, 40), 5),
    "faults": (by_length(10, 20), 1),
    "revoked": (10, 1),
    "deleted": (10, 1),
    "keyless": (3, 1),
    "secrets": (3, 1),
}

DAG = """
from airflow.sdk import DAG

from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG({dag_id!r}, schedule=None):
    for number in range({gates}):
        SendableAccountSensor(
            task_id=f"gate_{{number:03}}",
            revor_conn_id={dag_id!r},
            channel={channels!r}[number % 3],
            poke_interval={interval},
            deferrable=True,
            retries=2,
        )
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    dags = {
        f"{dag_id}.py": DAG.format(dag_id=dag_id, gates=gates, interval=interval, channels=CHANNELS)
        for dag_id, (gates, interval) in DAGS.items()
    }
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), dags) as cluster:
        yield cluster


@pytest.fixture
def sandbox():
    with Sandbox(api_key=KEY) as sandbox:
        yield sandbox


def settle(cluster, dag_id, runs):
    """
    Wait until the scheduler knows of so many ends of a worker's run, and every waiting gate's trigger runs.

    A task that a trigger resumes before the scheduler has learned that its worker deferred it is taken for killed,
    and failed: so Airflow (3.3) does with all triggers that fire within seconds.
    """
    cluster.wait_until(lambda: cluster.finished_runs(dag_id) >= runs, "the scheduler to learn of the deferrals")
    waiting = {trigger["id"] for trigger in cluster.triggers(dag_id)}
    cluster.wait_until(lambda: waiting <= cluster.started_triggers(dag_id), "the triggers to run")


def defer(cluster, sandbox, dag_id):
    """Run a test's Dag, with a connection in the metadata database, until all its gates wait in a triggerer."""
    gates, _ = DAGS[dag_id]
    cluster.api("POST", "/connections", connection_id=dag_id, **sandbox.connection)
    run_id = cluster.trigger(dag_id)
    cluster.wait_for_states(dag_id, {"deferred": gates})
    settle(cluster, dag_id, gates)
    sandbox.reset_requests()
    return run_id


def flip(sandbox):
    """Make one account of each channel sendable; return its id by channel."""
    sandbox.reconnect_all()
    return {account["channel"]: account["account_id"] for account in sandbox.accounts if account["can_send"]}


def count_requests(sandbox, seconds, meanwhile=lambda: None):
    sandbox.reset_requests()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        meanwhile()
        time.sleep(min(left, 1))
    return sandbox.request_count


def gaps(sandbox):
    return [(b.received_at - a.received_at).total_seconds() for a, b in pairwise(sandbox.requests)]


def test_many_gates_share_one_request_per_interval(cluster, sandbox):
    gates, interval = DAGS["shared"]
    defer(cluster, sandbox, "shared")
    before = cluster.tasks("shared")

    busy = []
    requests = count_requests(sandbox, 6 * interval, meanwhile=lambda: busy.append(cluster.running_tasks()))

    assert 0 < requests <= 6
    assert min(gaps(sandbox)) >= interval
    assert not any(busy)
    assert cluster.tasks("shared") == before

    sendable = flip(sandbox)
    cluster.wait_for_states("shared", {"success": gates})

    accounts = cluster.xcoms("shared", "return_value")
    account_ids = cluster.xcoms("shared", "account_id")
    assert len(accounts) == len(account_ids) == gates
    for number in range(gates):
        channel, task_id = CHANNELS[number % 3], f"gate_{number:03}"
        assert accounts[task_id]["channel"] == channel
        assert accounts[task_id]["can_send"] is True
        assert accounts[task_id]["account_id"] == account_ids[task_id] == sendable[channel]
    assert {task["try_number"] for task in cluster.tasks("shared").values()} == {1}
    cluster.wait_until(lambda: not cluster.sql("SELECT 1 FROM trigger"), "the triggers to be gone")


def test_gates_outlive_a_crash_of_their_triggerer(cluster, sandbox):
    gates, interval = DAGS["crash"]
    defer(cluster, sandbox, "crash")
    (triggerer,) = cluster.triggerers
    begin = time.monotonic()
    sandbox.wait_for_requests(1, timeout=60)

    triggerer.kill()
    assert cluster.states("crash") == {"deferred": gates}
    sandbox.reset_requests()
    cluster.start_triggerer()
    sandbox.wait_for_requests(2, timeout=120)
    assert cluster.states("crash") == {"deferred": gates}
    flip(sandbox)
    cluster.wait_for_states("crash", {"success": gates})

    assert sandbox.request_count <= (time.monotonic() - begin) / interval
    assert min(gaps(sandbox)) >= interval
    assert {task["try_number"] for task in cluster.tasks("crash").values()} == {1}


def test_clearing_one_gate_and_failing_another_leaves_the_others_alone(cluster, sandbox):
    gates, _ = DAGS["cleared"]
    run_id = defer(cluster, sandbox, "cleared")
    before = cluster.tasks("cleared")

    cluster.api(
        "POST",
        "/dags/cleared/clearTaskInstances",
        dag_run_id=run_id,
        task_ids=["gate_000"],
        only_failed=False,
        dry_run=False,
    )
    cluster.api("PATCH", f"/dags/cleared/dagRuns/{run_id}/taskInstances/gate_001", new_state="failed")
    cluster.wait_until(
        lambda: cluster.tasks("cleared")["gate_000"]["trigger_id"] not in (None, before["gate_000"]["trigger_id"]),
        "the cleared gate to wait anew",
    )
    cluster.wait_until(lambda: len(cluster.triggers("cleared")) == gates - 1, "the failed gate's trigger to be gone")
    settle(cluster, "cleared", gates + 1)
    sandbox.reset_requests()
    sandbox.wait_for_requests(2, timeout=60)

    after = cluster.tasks("cleared")
    assert after.pop("gate_000")["state"] == "deferred"
    assert after.pop("gate_001")["state"] == "failed"
    assert after == {task_id: task for task_id, task in before.items() if task_id in after}

    flip(sandbox)
    cluster.wait_for_states("cleared", {"success": gates - 1, "failed": 1})
    assert cluster.tasks("cleared")["gate_001"]["state"] == "failed"


def test_two_triggerers_poll_once_each(cluster, sandbox):
    gates, interval = DAGS["two_triggerers"]
    (last_job,) = cluster.sql("SELECT max(id) AS id FROM job")
    second = cluster.start_triggerer()
    try:
        # On a loaded machine it takes a while until it looks for triggers; the first one takes all until then.
        looks = "SELECT 1 FROM job WHERE job_type = 'TriggererJob' AND id > ? AND latest_heartbeat > start_date"
        cluster.wait_until(lambda: cluster.sql(looks, last_job["id"]), "the second triggerer to look for triggers")
        defer(cluster, sandbox, "two_triggerers")
        assert len({trigger["triggerer_id"] for trigger in cluster.triggers("two_triggerers")}) == 2

        requests = count_requests(sandbox, 6 * interval)

        assert 6 < requests <= 12
        flip(sandbox)
        cluster.wait_for_states("two_triggerers", {"success": gates})
    finally:
        second.stop()


def test_faults_are_waited_out(cluster, sandbox):
    gates, _ = DAGS["faults"]
    defer(cluster, sandbox, "faults")
    before = cluster.tasks("faults")

    sandbox.fail(429, retry_after=3, times=3)
    sandbox.fail(503, times=2)
    sandbox.truncate()
    sandbox.reset_requests()
    sandbox.wait_for_requests(8, timeout=120)

    faults = [record for record in sandbox.requests if record.fault]
    assert [(record.status, record.fault) for record in faults] == [
        *3 * [(429, "error")],
        *2 * [(503, "error")],
        (200, "truncate"),
    ]
    assert min((b.received_at - a.received_at).total_seconds() for a, b in pairwise(faults[:4])) >= 3
    assert cluster.tasks("faults") == before
    flip(sandbox)
    cluster.wait_for_states("faults", {"success": gates})
    for task_id in before:
        # Once per change, not once per poll.
        assert cluster.task_log("faults", task_id).count("Could not learn which accounts can send") == 3


def test_a_revoked_key_fails_every_gate_without_retries(cluster, sandbox):
    gates, interval = DAGS["revoked"]
    defer(cluster, sandbox, "revoked")

    sandbox.revoke_key()
    cluster.wait_for_states("revoked", {"failed": gates})

    # One refused poll tells them all; it is repeated only while gates that deferred less than ten seconds ago are held.
    assert 1 <= Counter(record.status for record in sandbox.requests)[401] <= 1 + 10 / interval
    for task_id, task in cluster.tasks("revoked").items():
        assert task["try_number"] == 1
        log = cluster.task_log("revoked", task_id)
        assert "RevorAuthenticationError" in log
        assert "api_key_invalid" in log


def test_gates_wait_for_a_deleted_connection_to_come_back(cluster, sandbox):
    gates, interval = DAGS["deleted"]
    defer(cluster, sandbox, "deleted")

    cluster.api("DELETE", "/connections/deleted")
    logged = "There is no Airflow connection 'deleted'"
    cluster.wait_until(
        lambda: all(logged in cluster.task_log("deleted", task_id) for task_id in cluster.tasks("deleted")),
        "each gate to log that the connection is missing",
    )
    time.sleep(5 * interval)
    flip(sandbox)
    cluster.api("POST", "/connections", connection_id="deleted", **sandbox.connection)
    cluster.wait_for_states("deleted", {"success": gates})

    for task_id, task in cluster.tasks("deleted").items():
        assert task["try_number"] == 1
        assert cluster.task_log("deleted", task_id).count(logged) == 1


def test_gates_fail_at_once_if_the_connection_holds_no_key_any_more(cluster, sandbox):
    gates, _ = DAGS["keyless"]
    defer(cluster, sandbox, "keyless")

    connection = {**sandbox.connection, "connection_id": "keyless", "password": "no key at all"}
    cluster.api("PATCH", "/connections/keyless", **connection)
    cluster.wait_for_states("keyless", {"failed": gates})

    for task_id, task in cluster.tasks("keyless").items():
        assert task["try_number"] == 1
        assert "RevorConfigurationError" in cluster.task_log("keyless", task_id)


def test_no_secret_and_no_personal_data_is_left_behind(cluster, sandbox):
    # Last in this file: it looks at what all gates before it have left, too.
    gates, _ = DAGS["secrets"]
    identifiers = [account["account_identifier"] for account in sandbox.accounts if account["account_identifier"]]
    defer(cluster, sandbox, "secrets")
    sandbox.fail(503, message=f"a proxy that repeats {KEY}")
    sandbox.wait_for_requests(2, timeout=60)

    triggers = cluster.triggers("secrets")
    assert len(triggers) == gates
    assert not [trigger for trigger in triggers if KEY in trigger["kwargs"]]

    flip(sandbox)
    cluster.wait_for_states("secrets", {"success": gates})
    # Logs, and the whole database: XComs, rendered templates, the audit log. Airflow encrypts connections.
    files = [file for file in cluster.home.rglob("*") if file.is_file()]
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
    logs = [file for file in files if file.suffix == ".log"]
    assert len(logs) > len(cluster.components)
    assert [file for file in logs for text in [file.read_text()] if any(who in text for who in identifiers)] == []
