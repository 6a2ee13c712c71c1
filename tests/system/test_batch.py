"""
A batch in a real Airflow: whatever is killed at random, each person gets one message, and the summary is true.

The test prints its seed. ``SEED=…`` in the environment repeats the same moments and ways of killing.
"""

from __future__ import annotations

import os
import random
import signal
import time
from itertools import pairwise

import psutil
import pytest
from system.airflow_cluster import AirflowCluster
from system.length import LONG, by_length

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not START_FROM_TRIGGER, reason="the records are of Airflow 3.3+"),
]

PEOPLE = by_length(100, 1000)
# Of them, those whose mailbox does not exist.
BOUNCES = by_length(3, 0)
WORKER_KILLS = by_length(2, 10)
TRIGGERER_KILLS = by_length(1, 3)
# Seconds that Revor takes for a message, so that the sending lasts; and how long after a request a kill may come.
LATENCY, LATEST = by_length(0.1, 0.05), 0.15

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
        retries={WORKER_KILLS + 5},
        retry_delay=timedelta(seconds=1),
    )
"""
CONFIG = {
    # A task whose worker is gone is tried again after so many seconds, not 300.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    # LocalExecutor counts the task of a killed worker as running for ever.
    "AIRFLOW__CORE__PARALLELISM": str(WORKER_KILLS + 4),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), {"batch.py": DAGS}, CONFIG) as cluster:
        yield cluster


@pytest.fixture
def chance():
    seed = int(os.environ.get("SEED") or random.randrange(2**32))
    print(f"SEED={seed}")
    return random.Random(seed)


def kill_task(cluster):
    """The task's process alone: its worker reports the failure."""
    cluster.kill_task("batch", "send")


def kill_worker(cluster):
    """The worker with its task, as a crash of their machine does: nobody reports anything."""
    (task,) = cluster.sql("SELECT pid FROM task_instance WHERE task_id = 'send' AND state = 'running'")
    worker = psutil.Process(task["pid"]).parent()
    assert worker.ppid() == cluster.scheduler.pid
    worker.send_signal(signal.SIGKILL)
    kill_task(cluster)


def kill_supervisor(cluster):
    """The worker alone: its task is left behind, and goes on for some time beside the next try."""
    (task,) = cluster.sql("SELECT pid FROM task_instance WHERE task_id = 'send' AND state = 'running'")
    worker = psutil.Process(task["pid"]).parent()
    assert worker.ppid() == cluster.scheduler.pid
    worker.send_signal(signal.SIGKILL)


# A dead worker is noticed late, which is too long for CI.
KILLS = [kill_task, kill_worker, kill_supervisor] if LONG else [kill_task]


def moments(chance, count, within):
    """
    Return so many moments: how many requests after the one before, and how many seconds after that request.

    They are in the first three fifths of what is to be done, because the work goes on while a kill is on its way.
    """
    numbers = sorted(chance.sample(range(1, 3 * within // 5), count))
    return [(number - before, chance.uniform(0, LATEST)) for before, number in pairwise([0, *numbers])]


def test_workers_and_triggerers_are_killed_and_each_person_gets_one_message(cluster, chance):
    gets, posts = [], []

    def on_request(record):
        (posts if record.method == "POST" else gets).append(record)

    with Sandbox(api_key="sk-revor-canary", on_request=on_request) as sandbox:
        sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
        for number in range(BOUNCES):
            error = {"code": "no_mailbox", "retryable": False}
            sandbox.script_jobs("failed", after=1, recipient=f"lead{number}@canary.example", error=error)
        sandbox.script_jobs(after=1, times=None)
        # Who is killed while a request is under way leaves a message that Revor has, or one that it does not have.
        for _ in range(500):
            sandbox.slow(LATENCY, after_acting=chance.random() < 0.5, method="POST", times=chance.randint(1, 4))
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        state = lambda: cluster.tasks("batch").get("send", {})  # noqa: E731

        cluster.trigger("batch")
        kills = [KILLS[number % len(KILLS)] for number in range(WORKER_KILLS)]
        chance.shuffle(kills)
        for kill, (requests, delay) in zip(kills, moments(chance, WORKER_KILLS, PEOPLE), strict=True):
            sandbox.wait_for_requests(sandbox.request_count + requests, timeout=120)
            time.sleep(delay)
            tries = state()["try_number"]
            print(f"{kill.__name__} in try {tries}, after {len(sandbox.jobs)} jobs")
            kill(cluster)
            again = lambda tries=tries: state()["state"] == "running" and state()["try_number"] > tries  # noqa: E731
            cluster.wait_until(again, "the next try")
        cluster.wait_until(lambda: state().get("state") == "deferred", "the batch to be deferred", timeout=600)

        asked = len(gets)
        waiting = sum(row["status"] not in ("succeeded", "failed") for row in cluster.xcoms("batch", "jobs")["send"])
        for requests, delay in moments(chance, TRIGGERER_KILLS, waiting):
            sandbox.wait_for_requests(sandbox.request_count + requests, timeout=300)
            time.sleep(delay)
            print(f"a triggerer is killed, after {len(gets) - asked} looks")
            cluster.triggerers[0].kill()
            assert state()["state"] == "deferred"
            cluster.start_triggerer()
        cluster.wait_for_states("batch", {"success": 2}, timeout=900)

        jobs = {job["id"] for job in sandbox.jobs}
        addresses = {entry.recipient["address"] for entry in sandbox.outbox}
        assert len(jobs) == len({post.idempotency_key for post in posts}) == PEOPLE
        assert len(addresses) == len(sandbox.outbox) == PEOPLE - BOUNCES
        # What was asked for before a kill is asked for again only as far as it was not noted.
        assert len(gets) - asked <= PEOPLE + TRIGGERER_KILLS * 101

    assert state()["try_number"] > WORKER_KILLS
    (summary,) = [value for task, value in cluster.xcoms("batch", "return_value").items() if task == "send"]
    assert (summary["total"], summary["sent"], summary["failed"]) == (PEOPLE, PEOPLE - BOUNCES, BOUNCES)
    bounced = [f"crm-{number}" for number in range(BOUNCES)]
    assert sorted(summary["references"].get("no_mailbox", [])) == bounced
    rows = cluster.xcoms("batch", "jobs")["send"]
    assert [row["reference"] for row in rows] == [f"crm-{number}" for number in range(PEOPLE)]
    assert {row["job_id"] for row in rows} == jobs
    assert [row["reference"] for row in rows if row["status"] != "succeeded"] == bounced
    log = cluster.task_log("batch", "send")
    assert f"{PEOPLE:,} messages: {PEOPLE - BOUNCES:,} sent, 0 skipped, {BOUNCES} failed." in log
    assert "canary" not in log
    assert "canary" not in str(rows)
