"""The link to the accounts, on each task that needs one, in each version of Airflow."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG
from outreach_tasks import dispatch, like

from airflow_provider_revor.get_provider_info import get_provider_info
from airflow_provider_revor.links import XCOM_KEY, RevorAccountsLink
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor
from airflow_provider_revor.version_compat import LINKS_ARE_XCOMS

ACCOUNTS = "https://revor.ai/console/connect"
TASKS = {
    "gate": lambda **kwargs: SendableAccountSensor(task_id="t", **kwargs),
    "job": lambda **kwargs: OutreachJobSensor(task_id="t", job_id="job_1", **kwargs),
    "list": lambda **kwargs: ListConnectAccountsOperator(task_id="t", **kwargs),
    "dispatch": dispatch,
    "post-like": like,
    "batch": lambda **kwargs: OutreachBatchOperator(task_id="t", messages=[], **kwargs),
}
each_task = pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
on_3 = pytest.mark.skipif(not LINKS_ARE_XCOMS, reason="links are XComs on Airflow 3")


def pushed_by(task):
    xcoms = {}
    task.pre_execute({"ti": SimpleNamespace(xcom_push=lambda key, value: xcoms.update({key: value}))})
    return xcoms


def test_airflow_may_load_each_link_that_the_provider_info_names():
    (path,) = get_provider_info()["extra-links"]
    module, _, name = path.rpartition(".")
    assert getattr(import_module(module), name) is RevorAccountsLink


def test_airflow_looks_for_the_link_under_this_key():
    assert getattr(RevorAccountsLink(), "xcom_key", XCOM_KEY) == XCOM_KEY


@each_task
def test_each_task_has_the_link(make):
    (link,) = make().operator_extra_links
    assert (link.name, link.get_link(None, ti_key=None)) == ("Revor: accounts", ACCOUNTS)


@each_task
def test_the_link_survives_the_serialization_of_the_dag(make):
    from airflow.serialization import serialized_objects

    serialization = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
    with DAG("d", schedule=None) as dag:
        task_id = make().task_id
    task = serialization.from_dict(serialization.to_dict(dag)).get_task(task_id)
    assert list(task.extra_links) == ["Revor: accounts"]


@each_task
def test_a_task_has_its_link_before_it_does_anything(make):
    assert pushed_by(make()) == ({XCOM_KEY: ACCOUNTS} if LINKS_ARE_XCOMS else {})


@on_3
def test_a_task_that_pushes_no_xcoms_has_its_link_all_the_same():
    assert pushed_by(TASKS["list"](do_xcom_push=False)) == {XCOM_KEY: ACCOUNTS}


@on_3
def test_a_custom_backend_is_given_no_link(monkeypatch):
    """It might store the address of a file in the link's place; Airflow stores the link past it, at the end."""
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time import xcom

    monkeypatch.setattr(xcom, "XCom", type("Elsewhere", (BaseXCom,), {}))
    assert pushed_by(TASKS["gate"]()) == {}


DAG_FILE = """
from airflow.providers.common.compat.sdk import DAG, task
from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG("linked", schedule=None) as the_dag:
    succeeds = SendableAccountSensor(task_id="succeeds", do_xcom_push=False)
    fails = SendableAccountSensor(task_id="fails", channel="email", poke_interval=1, timeout=0.1)
    skips = SendableAccountSensor(task_id="skips", channel="email", poke_interval=1, timeout=0.1, soft_fail=True)

    @task(trigger_rule="all_done")
    def look(**context):
        pull = context["ti"].xcom_pull
        print("LINKS=" + ",".join(str(pull(name, key="{key}")) for name in ("succeeds", "fails", "skips")))

    [succeeds, fails, skips] >> look()
"""


@on_3
def test_the_link_is_there_however_the_task_ends(dag_file, connect, revor_sandbox, capfd):
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key)
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "linkedin"}])
    run = dag_file("linked", DAG_FILE.format(key=XCOM_KEY)).the_dag.test()
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    assert (states["succeeds"], states["fails"], states["skips"]) == ("success", "failed", "skipped")
    assert f"LINKS={ACCOUNTS},{ACCOUNTS},{ACCOUNTS}" in "".join(capfd.readouterr())
