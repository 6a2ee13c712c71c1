"""A real API server on the metadata database of the tests, with people who may do different things."""

from __future__ import annotations

import pytest
from ui.api_server import EVIL, ApiServer

from airflow_provider_revor.sandbox import Sandbox
from airflow_provider_revor.version_compat import UI_PLUGINS

ACCOUNTS = [
    {"account_id": "acc_ready", "channel": "email", "name": EVIL, "account_identifier": "ready@example.com"},
    {
        "account_id": "acc_blocked",
        "channel": "linkedin",
        "name": "Anna",
        "account_identifier": "https://linkedin.example.com/in/anna",
        "status": "credentials",
        "can_send": False,
    },
]
# The page's own tasks, in Dags that are stored and run by the test process.
DAGS = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor

class OwnGate(SendableAccountSensor):
    "A Dag author's own."

def message(number, account_id):
    return {
        "account_id": account_id, "channel": "email", "recipient": {"address": f"lead{number}@example.com"},
        "content": {"subject": "Hello", "text": "private words"}, "reference": f"crm-{number}",
    }

def dag_of(dag_id):
    with DAG(dag_id, schedule=None) as dag:
        for task_id, conn_id in (("deferred", "revor_page"), ("rescheduled", "revor_page"), ("other", "revor_secret")):
            SendableAccountSensor(task_id=task_id, channel="email", revor_conn_id=conn_id, poke_interval=60)
        for task_id in ("own_deferred", "own_rescheduled"):
            OwnGate(task_id=task_id, channel="email", revor_conn_id="revor_page", poke_interval=60)
        to_ada = {**message(0, "acc_ready"), "revor_conn_id": "revor_page", "poke_interval": 0.1}
        to_ada.pop("reference")
        recipients = [to_ada.pop("recipient"), {"address": "refused@example.com"}, {"address": "lead1@example.com"}]
        OutreachDispatchOperator(task_id="one", recipient=recipients[0], **to_ada)
        OutreachDispatchOperator.partial(task_id="many", **to_ada).expand(recipient=recipients)
        OutreachDispatchOperator(task_id="unfit", recipient={"address": "{{ None }}"}, **to_ada)
        messages = [message(number, "acc_ready") for number in range(3)]
        OutreachBatchOperator(task_id="send", messages=messages, revor_conn_id="revor_page", poke_interval=1)
        OutreachBatchOperator(task_id="preview", messages=messages, revor_conn_id="revor_page", preview=True)
    return dag

open_dag, secret_dag = dag_of("open_dag"), dag_of("secret_dag")
"""


def lifetime(fixture_name, config):
    """Not the session, where a thread of the sandbox would show in tests that count threads and sleeps."""
    # But Playwright's loop, which lasts for the session, must come after it.
    return "session" if config.option.markexpr == "browser" else "module"


@pytest.fixture(scope=lifetime)
def revor():
    """Return the Revor that the connections of the page lead to."""
    with Sandbox(accounts=ACCOUNTS) as sandbox:
        yield sandbox


@pytest.fixture(scope=lifetime)
def records(airflow_db, revor, tmp_path_factory):
    """Connections of several types, gates that wait, and a batch that has ended, in the metadata database."""
    if not UI_PLUGINS:
        pytest.skip("pages of plugins are of Airflow 3.1+")
    fill_database(revor, tmp_path_factory.mktemp("dags") / "dags.py")
    revor.reset_requests()
    return revor


def fill_database(revor, path):
    from airflow.models.connection import Connection
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from airflow_provider_revor.triggers.connect import SendableAccountTrigger
    from airflow_provider_revor.version_compat import store_dag

    ids = ("revor_page", "revor_secret")
    with create_session() as session:
        session.add_all(Connection(conn_id=conn_id, **revor.connection) for conn_id in ids)
        session.add(Connection(conn_id="http_page", conn_type="http", host=revor.url, password="canary-password"))
    names: dict = {"__name__": "dags"}
    exec(DAGS, names)
    revor.script_jobs("failed", times=2, recipient="refused@example.com")
    for dag in (names["open_dag"], names["secret_dag"]):
        dag.fileloc = str(path)
        store_dag(dag)
        run = dag.test()
        with create_session() as session:
            ran = list(session.scalars(select(TaskInstance).filter_by(run_id=run.run_id, dag_id=dag.dag_id)))
            assert {(ti.task_id, ti.map_index) for ti in ran if ti.state != "success"} == {("many", 1), ("unfit", -1)}
            tasks = {ti.task_id: ti for ti in ran}
            for name in ("deferred", "own_deferred"):
                trigger = SendableAccountTrigger(revor_conn_id="revor_page", account_id="acc_blocked")
                session.add(row := Trigger.from_object(trigger))
                session.flush()
                tasks[name].state, tasks[name].trigger_id = "deferred", row.id
            tasks["rescheduled"].state = tasks["own_rescheduled"].state = "up_for_reschedule"
            tasks["other"].state = "running"


@pytest.fixture(scope=lifetime)
def api_server(records, tmp_path_factory):
    """Return an API server that has the page."""
    with ApiServer(tmp_path_factory.mktemp("api-server"), AIRFLOW__REVOR__ACCOUNTS_PAGE="True") as server:
        yield server
