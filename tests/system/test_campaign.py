"""A campaign in a real Airflow: two Dags, two lists, a clear and a second run, and each person gets one message."""

from __future__ import annotations

import pytest
from system.airflow_cluster import AirflowCluster

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import ASSET_STATE_STORE

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not ASSET_STATE_STORE, reason="the ledger takes Airflow 3.3+"),
]

DAGS = """
from datetime import timedelta

from airflow.sdk import DAG, Asset, task

from airflow_provider_revor.campaign import CampaignLedger
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator

SPRING = Asset("spring")


def message(number):
    return {
        "account_id": "acc_1",
        "channel": "email",
        "recipient": {"address": f"lead{number}@canary.example"},
        "content": {"subject": "Hello", "text": "A canary"},
    }


with DAG("mapped", schedule=None):
    OutreachDispatchOperator.partial(
        task_id="send",
        account_id="acc_1",
        channel="email",
        content=message(0)["content"],
        campaign=SPRING,
        exclude=["LEAD9@canary.example"],
        deferrable=True,
        poke_interval=1,
        retries=0,
    ).expand(recipient=[message(number)["recipient"] for number in (0, 1, 2, 9)])

with DAG("batched", schedule=None):

    @task(show_return_value_in_logs=False)
    def people():
        return [{**message(number), "reference": f"crm-{number}"} for number in (2, 3, 4)]

    @task(inlets=[SPRING])
    def read(asset_state_store=None):
        ledger = CampaignLedger(asset_state_store[SPRING], SPRING)
        ends = {entry.job_id: entry.end.status for _, entry in ledger.entries()}
        return {"ends": ends, "lead2": "lead2@canary.example" in ledger, "lead9": "lead9@canary.example" in ledger}

    send = OutreachBatchOperator(task_id="send", messages=people(), campaign=SPRING, poke_interval=1)
    send >> read()

with DAG("named", schedule=None):
    OutreachDispatchOperator(task_id="send", **message(5), campaign="{{ 'sum' ~ 'mer' }}", poke_interval=1)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), {"campaign.py": DAGS}) as cluster:
        yield cluster


def instances(cluster, dag_id, run_id):
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
    return {(ti["task_id"], ti["map_index"]): ti["state"] for ti in cluster.api("GET", path)["task_instances"]}


def finish(cluster, dag_id, run_id):
    path = f"/dags/{dag_id}/dagRuns/{run_id}"
    ended = lambda: cluster.api("GET", path)["state"] in ("success", "failed")  # noqa: E731
    cluster.wait_until(ended, f"{dag_id} to end", timeout=240)
    return instances(cluster, dag_id, run_id)


def test_two_dags_of_one_campaign_write_to_each_person_once(cluster):
    with Sandbox(api_key="sk-revor-canary") as sandbox:
        sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
        sandbox.script_jobs(after=1, times=None)
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)

        # Lead 2 is in both lists at the same moment.
        first, other = cluster.trigger("mapped"), cluster.trigger("batched")
        mapped, batched = finish(cluster, "mapped", first), finish(cluster, "batched", other)
        assert set(batched.values()) == {"success"}
        assert (mapped["send", 0], mapped["send", 1], mapped["send", 3]) == ("success", "success", "skipped")
        assert len(sandbox.jobs) == len({entry.recipient["address"] for entry in sandbox.outbox}) == 5

        # A second run, and a clear of the first: nothing is sent.
        second = cluster.trigger("mapped")
        assert set(finish(cluster, "mapped", second).values()) == {"skipped"}
        cluster.api("POST", "/dags/mapped/clearTaskInstances", dry_run=False, only_failed=False, dag_run_id=first)
        again = finish(cluster, "mapped", first)
        assert (again["send", 0], again["send", 1], again["send", 3]) == ("success", "success", "skipped")
        third = cluster.trigger("batched")
        assert set(finish(cluster, "batched", third).values()) == {"success"}
        assert len(sandbox.jobs) == 5

        # A campaign that is given by a template keeps its ledger with an asset that all of those have in common.
        for state in ("success", "skipped"):
            assert finish(cluster, "named", cluster.trigger("named"))["send", -1] == state
        assert len(sandbox.jobs) == 6

    (read,) = {str(value) for task, value in cluster.xcoms("batched", "return_value").items() if task == "read"}
    assert "'lead2': True, 'lead9': False" in read
    assert read.count("succeeded") == 5
    for dag_id in ("mapped", "named"):
        log = cluster.task_log(dag_id, "send")
        assert "Already written to in campaign" in log
        assert " on 20" in log
        assert "canary" not in log
