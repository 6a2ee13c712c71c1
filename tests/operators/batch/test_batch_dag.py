"""A batch in real Airflow (``dag.test()``) against the sandbox over a real socket."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.usefixtures("airflow_db")

DAG_FILE = """
from airflow.providers.common.compat.sdk import DAG, task
from airflow_provider_revor.operators.batch import OutreachBatchOperator

with DAG("{dag_id}", schedule=None) as the_dag:

    @task
    def compose():
        return [
            {{
                "reference": f"crm-{{n}}",
                "account_id": "acc_1",
                "channel": "email",
                "recipient": {{"address": f"lead{{n}}@example.com"}},
                "content": {{"subject": "Hello", "text": "Hello"}},
            }}
            for n in range({people})
        ]

    send = OutreachBatchOperator(task_id="send", messages=compose(), poke_interval=0.1, {arguments})

    @task(trigger_rule="all_done")
    def look(summary, jobs):
        import json
        print("SUMMARY=" + json.dumps([summary, jobs]))

    look(send.output, send.output["jobs"])
"""


@pytest.fixture
def run(dag_file, revor_sandbox, capfd):
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])

    def run(dag_id, people=3, arguments="max_requests_per_minute=6000"):
        dag = dag_file(dag_id, DAG_FILE.format(dag_id=dag_id, people=people, arguments=arguments)).the_dag
        dag_run = dag.test()
        states = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
        out = "".join(capfd.readouterr())
        line = next(line for line in out.splitlines() if "SUMMARY=" in line)
        return states["send"], *json.JSONDecoder().raw_decode(line.partition("SUMMARY=")[2])[0]

    return run


def test_a_batch_waits_in_one_trigger_and_leaves_a_summary_and_a_row_for_each(run, revor_sandbox):
    revor_sandbox.script_jobs(after=1.0, times=2)

    state, summary, jobs = run("batch_sends")

    assert state == "success"
    assert {name: summary[name] for name in ("total", "sent", "skipped", "failed")} == {
        "total": 3,
        "sent": 3,
        "skipped": 0,
        "failed": 0,
    }
    assert [(row["reference"], row["status"]) for row in jobs] == [(f"crm-{n}", "succeeded") for n in range(3)]
    assert {row["job_id"] for row in jobs} == {entry.job_id for entry in revor_sandbox.outbox}
    assert "example.com" not in json.dumps([summary, jobs])


def test_a_batch_in_which_too_many_failed_fails_and_still_leaves_both(run, revor_sandbox):
    revor_sandbox.script_jobs("failed", recipient="lead1@example.com", error={"code": "no_mailbox", "retryable": False})

    state, summary, jobs = run("batch_fails")

    assert state == "failed"
    assert (summary["sent"], summary["failed"], summary["by_code"]) == (2, 1, {"no_mailbox": 1})
    assert [row["status"] for row in jobs] == ["succeeded", "failed", "succeeded"]
