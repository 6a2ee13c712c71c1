"""Where deferred tasks end in a real Airflow, against the sandbox: in the triggerer, or on a worker."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from system.airflow_cluster import AirflowCluster

from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not START_FROM_TRIGGER, reason="tasks end in the triggerer on Airflow 3.3+"),
]

DAGS = """
from airflow.sdk import DAG, Asset, task

from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor

GATE = dict(task_id="gate", channel="email", poke_interval=2, retries=0)
WAIT = dict(poke_interval=2, retries=0, deferrable=True)


@task
def use(account_id):
    return account_id


def note(context):
    print("The callback has been called.")


with DAG("deferred", schedule=None):
    gate = SendableAccountSensor(**GATE, deferrable=True)
    use(gate.output["account_id"])

with DAG("started", schedule=None):
    gate = SendableAccountSensor(**GATE, start_from_trigger=True)
    use(gate.output["account_id"])

with DAG("pure", schedule=None):
    SendableAccountSensor(**GATE, start_from_trigger=True, do_xcom_push=False)

for name, how in (("", dict(deferrable=True)), ("_started", dict(start_from_trigger=True))):
    with DAG(f"outlets{name}", schedule=None):
        SendableAccountSensor(**GATE, **how, outlets=[Asset(f"mail_is_ready{name}")])
    with DAG(f"callback{name}", schedule=None):
        SendableAccountSensor(**GATE, **how, on_success_callback=note)
    with DAG(f"insists{name}", schedule=None):
        SendableAccountSensor(**GATE, **how, end_on_worker=True)

with DAG("dispatches", schedule=None):
    send = OutreachDispatchOperator.partial(
        task_id="send", account_id="acc_email", channel="email", content={"subject": "s", "text": "t"}, **WAIT
    ).expand(recipient=[{"address": f"{name}@example.com"} for name in ("ada", "ben", "cleo")])

    @task
    def read(jobs):
        return [job["id"] for job in jobs]

    read(send.output)

for end in ("succeeded", "failed"):
    with DAG(f"job_{end}", schedule=None, params={"job_id": ""}):
        OutreachJobSensor(task_id="wait", job_id="{{ params.job_id }}", **WAIT)
"""

LINKS = {"Revor: accounts": "https://revor.ai/console/connect"}

GATES = {
    # Of each Dag: the workers that its gate takes, and the tasks after it.
    "deferred": (1, 1),
    "started": (0, 1),
    "pure": (0, 0),
    "outlets": (2, 0),
    "outlets_started": (1, 0),
    "callback": (2, 0),
    "callback_started": (1, 0),
    "insists": (2, 0),
    "insists_started": (1, 0),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), {"dags.py": DAGS}) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def sandbox(cluster):
    with Sandbox() as sandbox:
        sandbox.set_accounts([{"account_id": "acc_email", "channel": "email", "can_send": False}])
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        yield sandbox


def links(cluster, dag_id, task_id):
    """The links that the UI shows of a task."""
    (run,) = cluster.sql("SELECT run_id FROM dag_run WHERE dag_id = ?", dag_id)
    task = f"/dags/{dag_id}/dagRuns/{quote(run['run_id'])}/taskInstances/{task_id}"
    return cluster.api("GET", f"{task}/links")["extra_links"]


@pytest.fixture(scope="module")
def gates(cluster, sandbox):
    """The cluster, after all gates have waited, each with its link, and then ended."""
    for dag_id in GATES:
        cluster.trigger(dag_id)
    for dag_id in GATES:
        cluster.wait_until(lambda dag_id=dag_id: cluster.started_triggers(dag_id), f"the trigger of {dag_id} to run")
        cluster.wait_until(lambda dag_id=dag_id: links(cluster, dag_id, "gate") == LINKS, f"the link of {dag_id}")
        assert cluster.tasks(dag_id)["gate"]["state"] == "deferred"
    sandbox.update_account("acc_email", can_send=True)
    for dag_id, (_, after) in GATES.items():
        cluster.wait_for_states(dag_id, {"success": 1 + after})
    return cluster


def workers(cluster, dag_id, expected):
    """How many workers a Dag has taken, once the scheduler has learned of so many."""
    cluster.wait_until(lambda: cluster.finished_runs(dag_id) >= expected, f"{dag_id} to have taken {expected} workers")
    return cluster.finished_runs(dag_id)


@pytest.mark.parametrize("dag_id", GATES)
def test_a_gate_takes_no_worker_that_it_does_not_need(gates, dag_id):
    assert workers(gates, dag_id, sum(GATES[dag_id])) == sum(GATES[dag_id])


@pytest.mark.parametrize("dag_id", [dag_id for dag_id in GATES if dag_id != "pure"])
def test_its_xcoms_are_the_same_wherever_it_ends(gates, sandbox, dag_id):
    # Decoded once.
    assert gates.xcoms(dag_id, "return_value")["gate"] == sandbox.accounts[0]
    assert gates.xcoms(dag_id, "account_id")["gate"] == "acc_email"


@pytest.mark.parametrize("dag_id", ["deferred", "started"])
def test_the_next_task_reads_the_account_id(gates, dag_id):
    assert gates.xcoms(dag_id, "return_value")["use"] == "acc_email"


def test_a_pure_gate_pushes_its_link_alone(gates):
    assert gates.sql("SELECT key FROM xcom WHERE dag_id = 'pure'") == [{"key": "_link_RevorAccountsLink"}]


@pytest.mark.parametrize("dag_id", GATES)
def test_a_gate_that_has_ended_keeps_its_link(gates, dag_id):
    assert links(gates, dag_id, "gate") == LINKS


@pytest.mark.parametrize("started", ["", "_started"])
def test_a_gate_with_an_outlet_emits_its_asset_event(gates, started):
    events = gates.sql(
        "SELECT 1 FROM asset_event JOIN asset ON asset.id = asset_id WHERE asset.name = ?", f"mail_is_ready{started}"
    )
    assert len(events) == 1


@pytest.mark.parametrize("started", ["", "_started"])
def test_a_success_callback_is_called_on_a_worker(gates, started):
    assert gates.task_log(f"callback{started}", "gate").count("The callback has been called.") == 1


def test_a_gate_that_has_ended_in_the_triggerer_can_be_cleared(gates):
    (run,) = gates.sql("SELECT run_id FROM dag_run WHERE dag_id = 'deferred'")
    gates.api(
        "POST",
        "/dags/deferred/clearTaskInstances",
        dag_run_id=run["run_id"],
        task_ids=["gate"],
        only_failed=False,
        dry_run=False,
    )
    gates.wait_until(lambda: gates.tasks("deferred")["gate"]["try_number"] == 2, "another try")
    gates.wait_for_states("deferred", {"success": 2})
    assert gates.xcoms("deferred", "account_id")["gate"] == "acc_email"


def test_a_dispatch_takes_one_worker_and_hands_its_job_on(gates, sandbox):
    sandbox.script_jobs(after=None, times=None)
    gates.trigger("dispatches")
    gates.wait_until(lambda: len(gates.started_triggers("dispatches")) == 3, "the triggers to run")
    for job in sandbox.jobs:
        sandbox.finish_job(job["id"])
    gates.wait_for_states("dispatches", {"success": 4})

    assert len(sandbox.outbox) == 3
    assert workers(gates, "dispatches", 3 + 1) == 3 + 1
    rows = gates.sql(
        "SELECT key, value FROM xcom WHERE dag_id = 'dispatches' AND task_id = 'send' AND key NOT LIKE '%link%' "
        "ORDER BY key, map_index"
    )
    values = [json.loads(row["value"]) for row in rows]
    assert [row["key"] for row in rows] == [*3 * ["job_id"], *3 * ["return_value"]]
    assert values[:3] == [job["id"] for job in values[3:]]
    assert [job["status"] for job in values[3:]] == 3 * ["succeeded"]
    assert gates.xcoms("dispatches", "return_value")["read"] == values[:3]


@pytest.mark.parametrize(("end", "state", "taken"), [("succeeded", "success", 1), ("failed", "failed", 2)])
def test_a_job_sensor_ends_in_the_triggerer_if_the_job_has_succeeded(gates, sandbox, connect, end, state, taken):
    connect(host=sandbox.url, password=sandbox.api_key)
    sandbox.script_jobs(after=None, times=None)
    with RevorHook() as hook:
        job = hook.create_outreach_dispatch(
            "acc_email", "email", {"address": "dana@example.com"}, {"subject": "s", "text": "t"}, idempotency_key=end
        )
    dag_id = f"job_{end}"
    gates.api("POST", f"/dags/{dag_id}/dagRuns", logical_date=None, conf={"job_id": job.id})
    gates.wait_until(lambda: gates.started_triggers(dag_id), "the trigger to run")
    assert links(gates, dag_id, "wait") == LINKS
    sandbox.finish_job(job.id, end)
    gates.wait_for_states(dag_id, {state: 1})
    assert links(gates, dag_id, "wait") == LINKS

    assert workers(gates, dag_id, taken) == taken
    found = gates.xcoms(dag_id, "return_value")
    assert {task_id: value["id"] for task_id, value in found.items()} == ({"wait": job.id} if taken == 1 else {})
