"""A batch in a real Airflow: whatever is killed, each person gets one message, and the summary is true."""

from __future__ import annotations

import random

import pytest
from system.airflow_cluster import AirflowCluster
from system.length import by_length

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not START_FROM_TRIGGER, reason="the records are of Airflow 3.3+"),
]

PEOPLE = by_length(200, 1000)
WORKER_KILLS = by_length(3, 10)
TRIGGERER_KILLS = by_length(1, 3)
BOUNCES = 5

DAGS = f"""
from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_revor.operators.batch import OutreachBatchOperator

with DAG("batch", schedule=None):

    @task(show_return_value_in_logs=False)
    def compose():
        return [
            {{
                "reference": f"crm-{{number}}",
                "account_id": "acc_1",
                "channel": "email",
                "recipient": {{"address": f"lead{{number}}@canary.example"}},
                "content": {{"subject": "Hello", "text": "A canary"}},
            }}
            for number in range({PEOPLE})
        ]

    OutreachBatchOperator(
        task_id="send",
        messages=compose(),
        poke_interval=5,
        max_requests_per_minute=600,
        max_failed=0.1,
        retries={WORKER_KILLS + 1},
        retry_delay=timedelta(seconds=1),
    )
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), {"batch.py": DAGS}) as cluster:
        yield cluster


def test_workers_and_triggerers_are_killed_and_each_person_gets_one_message(cluster):
    posts, gets = [], []
    doomed = sorted(random.sample(range(1, PEOPLE), WORKER_KILLS))

    def on_request(record):
        if record.method != "POST":
            gets.append(record.path)
            return
        posts.append(record.idempotency_key)
        if doomed and len(set(posts)) >= doomed[0]:
            # The response never arrives: the worker dies before it can record the job.
            doomed.pop(0)
            cluster.kill_task("batch", "send")

    with Sandbox(api_key="sk-revor-canary", on_request=on_request) as sandbox:
        sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
        for number in range(BOUNCES):
            error = {"code": "no_mailbox", "retryable": False}
            sandbox.script_jobs("failed", after=1, recipient=f"lead{number}@canary.example", error=error)
        sandbox.script_jobs(after=1, times=None)
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)

        cluster.trigger("batch")
        state = lambda: cluster.tasks("batch").get("send", {})  # noqa: E731
        cluster.wait_until(lambda: state().get("state") == "deferred", "the batch to be deferred", timeout=600)
        assert state()["try_number"] == WORKER_KILLS + 1
        asked = len(gets)
        waiting = sum(row["status"] not in ("succeeded", "failed") for row in cluster.xcoms("batch", "jobs")["send"])
        for kill in range(1, TRIGGERER_KILLS + 1):
            enough = asked + kill * (waiting // (TRIGGERER_KILLS + 2))
            cluster.wait_until(lambda: len(gets) >= enough, "the jobs to be asked for", timeout=600)  # noqa: B023
            cluster.triggerers[0].kill()
            cluster.start_triggerer()
        cluster.wait_for_states("batch", {"success": 2}, timeout=900)

        addresses = {entry.recipient["address"] for entry in sandbox.outbox}
        assert len(sandbox.jobs) == PEOPLE
        assert len(addresses) == len(sandbox.outbox) == PEOPLE - BOUNCES
        # What was asked for before a kill is asked for again only as far as it was not noted.
        assert len(gets) - asked <= PEOPLE + TRIGGERER_KILLS * 101

    (summary,) = [value for task, value in cluster.xcoms("batch", "return_value").items() if task == "send"]
    assert (summary["total"], summary["sent"], summary["failed"]) == (PEOPLE, PEOPLE - BOUNCES, BOUNCES)
    assert sorted(summary["references"]["no_mailbox"]) == [f"crm-{number}" for number in range(BOUNCES)]
    log = cluster.task_log("batch", "send")
    assert f"{PEOPLE:,} messages: {PEOPLE - BOUNCES:,} sent, 0 skipped, {BOUNCES} failed." in log
    assert "canary" not in log
    assert "canary" not in str(cluster.xcoms("batch", "jobs"))
