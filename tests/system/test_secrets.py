"""Where the API key and people's data are after a run of every example: in all that a real Airflow keeps and tells."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

import pytest
from project import EXAMPLES
from system.airflow_cluster import AirflowCluster

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import SHARED_POLLS

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not SHARED_POLLS, reason="the cluster is one of Airflow 3.3+"),
]

KEY = "sk-revor-canary-4c1be07d"
MESSAGE = "canary-message-b91f"
PERSON = "canary-person-27ac"
IDENTIFIER = "canary-identifier-e305"

# The examples as they are, but with canaries for what is personal, and in a hurry.
CHANGES = {
    "shall we talk?": MESSAGE,
    "Shall we connect?": MESSAGE,
    "@example.com": f"@{PERSON}.example",
    "linkedin.com/in/": f"linkedin.com/in/{PERSON}-",
    "timedelta(seconds=30)": "timedelta(seconds=2)",
    # Only what is triggered here runs.
    'schedule="@daily"': "schedule=None",
    "SendableAccountEventTrigger(": "SendableAccountEventTrigger(poke_interval=2, ",
}
WAITING_RUNS = ("example_account_gate", "example_outreach_pipeline", "example_post_like_warmup")
EXAMPLE_RUNS = ("example_list_accounts", *WAITING_RUNS)
EVENT_RUNS = ("example_on_account_ready", "example_on_account_blocked")

# All the ways in which a Dag's author may give the key away without meaning to, for each way to define a connection.
SOURCES = ("in_the_database", "in_the_environment", "in_a_uri", "in_a_backend")
LEAKS = f"""
import logging

from airflow.sdk import DAG, task

from airflow_provider_revor.operators.connect import ListConnectAccountsOperator


@task
def leak(conn_id):
    import httpx
    import requests

    from airflow_provider_revor.hooks.revor import RevorHook

    log = logging.getLogger("leak")
    hook = RevorHook(conn_id)
    hook.list_connect_accounts()
    key = hook.settings.api_key
    print("printed", key)
    log.info("logged %s", key)
    log.warning("shown %r %r %s", hook, hook.settings, vars(hook))
    for library, error in ((requests, requests.RequestException), (httpx, httpx.HTTPError)):
        try:
            library.get("http://127.0.0.1:1/", headers={{"Authorization": f"Bearer {{key}}"}})
        except error as e:
            log.exception("refused %s", dict(e.request.headers))
    raise RuntimeError(f"raised {{key}}")


with DAG("leaks", schedule=None):
    for source in {SOURCES}:
        leak.override(task_id=source)(source)

with DAG("refused", schedule=None):
    ListConnectAccountsOperator(task_id="accounts", revor_conn_id="nobody_there")
"""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(api_key=KEY) as sandbox:
        for account in sandbox.accounts:
            sandbox.update_account(account["account_id"], account_identifier=f"{IDENTIFIER}-{account['account_id']}")
        yield sandbox


@pytest.fixture(scope="module")
def cluster(sandbox, tmp_path_factory):
    dags = {"leaks.py": LEAKS}
    for example in EXAMPLES:
        source = example.read_text()
        for said, canary in CHANGES.items():
            source = source.replace(said, canary)
        dags[example.name] = source
    backend = tmp_path_factory.mktemp("backend") / "connections.json"
    backend.write_text(json.dumps({"in_a_backend": sandbox.connection}))
    config = {
        "AIRFLOW_CONN_IN_THE_ENVIRONMENT": sandbox.connection_json,
        "AIRFLOW_CONN_IN_A_URI": sandbox.url.replace("http://", f"revor://:{KEY}@"),
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(backend)}),
    }
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), dags, config) as cluster:
        for conn_id in ("revor_default", "in_the_database"):
            cluster.api("POST", "/connections", connection_id=conn_id, **sandbox.connection)
        nobody = {**sandbox.connection, "host": "http://127.0.0.1:1", "extra": '{"max_retries": 0}'}
        cluster.api("POST", "/connections", connection_id="nobody_there", **nobody)
        yield cluster


@pytest.fixture(scope="module")
def triggers(cluster, sandbox):
    """Run everything; return all trigger rows that there were on the way, decrypted."""
    rows = set()

    def note_triggers():
        for row in cluster.sql("SELECT classpath, kwargs FROM trigger"):
            rows.add(row["classpath"] + cluster.decrypted(row["kwargs"]))

    def done(condition):
        note_triggers()
        return condition()

    def ended(*dag_ids):
        marks = ", ".join("?" * len(dag_ids))
        runs = cluster.sql(f"SELECT dag_id, state FROM dag_run WHERE dag_id IN ({marks})", *dag_ids)
        return {run["dag_id"] for run in runs} == set(dag_ids) and {run["state"] for run in runs} <= {
            "success",
            "failed",
        }

    for dag_id in (*EXAMPLE_RUNS, "leaks", "refused"):
        cluster.trigger(dag_id)
    cluster.wait_until(
        lambda: done(lambda: all(cluster.tasks(dag_id)["gate"]["state"] == "deferred" for dag_id in WAITING_RUNS)),
        "the gates to wait",
    )
    # The watchers have had a look by now: a change is one from what they saw.
    cluster.wait_until(lambda: done(lambda: len(rows) >= 5), "the watchers' triggers")
    sandbox.wait_for_requests(sandbox.request_count + 3, timeout=60)
    # Long enough that the tasks are deferred.
    sandbox.script_jobs(after=15, times=None)
    sandbox.reconnect_all()
    cluster.wait_until(lambda: done(lambda: ended(*EXAMPLE_RUNS, "leaks", "refused")), "the runs to end", timeout=300)
    sandbox.update_account("acc_email_anna", status="credentials", can_send=False)
    cluster.wait_until(lambda: done(lambda: ended(*EVENT_RUNS)), "the events' runs to end")
    return rows


def tables(cluster, *canaries):
    """Return the tables of the metadata database that have one of these in them."""
    with closing(sqlite3.connect(cluster.home / "airflow.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name
            for name in names
            for row in database.execute(f'SELECT * FROM "{name}"')
            if any(canary in str(value) for canary in canaries for value in row)
        }


def test_every_example_has_run_to_its_end(cluster, sandbox, triggers):
    runs = cluster.sql("SELECT dag_id, state FROM dag_run")
    states = {run["dag_id"]: run["state"] for run in runs}
    assert states == {**dict.fromkeys([*EXAMPLE_RUNS, *EVENT_RUNS], "success"), "leaks": "failed", "refused": "failed"}
    # What is searched for has been there.
    assert len(sandbox.outbox) == 3 + 2 + 2
    assert all(PERSON in str(entry.body) for entry in sandbox.outbox)
    assert sum(MESSAGE in str(entry.content) for entry in sandbox.outbox) == 5
    assert {path.rpartition(".")[2] for path in (row.partition("{")[0] for row in triggers)} == {
        "SendableAccountTrigger",
        "SendableAccountEventTrigger",
        "OutreachJobTrigger",
    }


def test_the_key_is_in_the_encrypted_connection_alone(cluster, triggers):
    files = [path for path in cluster.home.rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".log"]) > 20
    # The LocalExecutor repeats on its own output what tasks log, unmasked: there is what `leaks` gives away.
    own_output = cluster.scheduler.log
    assert [path for path in files if path != own_output and KEY.encode() in path.read_bytes()] == []
    told = [line for line in own_output.read_text().splitlines() if KEY in line]
    assert [line for line in told if not re.search("printed|logged|refused|raised", line)] == []
    assert tables(cluster, KEY) == set()
    assert [row for row in triggers if KEY in row] == []
    (row,) = cluster.sql("SELECT password FROM connection WHERE conn_id = 'revor_default'")
    assert row["password"] != KEY == cluster.decrypted(row["password"])


@pytest.mark.parametrize("source", SOURCES)
def test_the_key_is_masked_wherever_it_comes_from(cluster, triggers, source):
    log = cluster.task_log("leaks", source)
    for told in ("printed ***", "logged ***", "Bearer ***", "raised ***"):
        assert told in log
    assert log.count("Bearer ***") >= 2


def test_what_is_personal_is_in_no_log_and_no_trigger_row(cluster, triggers):
    canaries = (MESSAGE, PERSON, IDENTIFIER)
    logs = [path for path in cluster.home.rglob("*.log") if any(canary in path.read_text() for canary in canaries)]
    assert logs == []
    assert [row for row in triggers if any(canary in row for canary in canaries)] == []


def test_what_is_personal_is_only_where_a_dag_puts_it(cluster, triggers):
    the_dag_itself = {"dag_code", "serialized_dag"}
    what_tasks_were_given = {"rendered_task_instance_fields", "xcom"}
    assert tables(cluster, MESSAGE, PERSON) == the_dag_itself | what_tasks_were_given
    # An asset's event has its account for a payload.
    assert tables(cluster, IDENTIFIER) == what_tasks_were_given | {"asset_event"}
