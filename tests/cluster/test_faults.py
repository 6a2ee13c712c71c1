"""
Gates and messages on PostgreSQL, Redis and Celery, with two of everything, while parts of it break.

Each test is a row of the table in docs/cluster.md.
"""

from __future__ import annotations

import os
import signal
import time

import pytest
from cluster.celery_cluster import CeleryCluster
from cluster.scene import GATES, INTERVAL, LEADS, Scene, dags
from cluster.services import HOW_TO_INSTALL, missing, temporary_folder
from system.length import by_length, long_only

pytestmark = pytest.mark.cluster

# Seconds.
REVOR_IS_AWAY = by_length(20, 600)
POSTGRES_IS_AWAY = by_length(3, 30)

# Whether dispatches are deferrable, their retries, and the seconds between these.
SCENES = {
    "worker": (False, 3, 1),
    "triggerer": (True, 0, 1),
    "scheduler": (True, 0, 1),
    "redis_restarts": (False, 3, 1),
    "redis_loses": (False, 3, 1),
    "postgres": (True, 10, 5),
    "away": (True, by_length(10, 60), by_length(2, 20)),
    "away_too_long": (True, 0, 1),
}


@pytest.fixture(scope="module")
def cluster():
    if servers := missing():
        pytest.exit(f"{' and '.join(servers)} cannot be found. {HOW_TO_INSTALL}", returncode=1)
    # Ended by a timeout of CI, pytest still ends what runs here.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with temporary_folder() as folder:
        home = folder / "airflow"
        home.mkdir()
        with CeleryCluster(home, {"scenes.py": dags(SCENES)}) as cluster:
            yield cluster
    signal.signal(signal.SIGTERM, before)


def tasks_on(cluster, worker, dag_id):
    """The map indices of the tasks that run on a worker."""
    rows = cluster.sql("SELECT pid, map_index FROM task_instance WHERE dag_id = ? AND state = 'running'", dag_id)
    return {row["map_index"] for row in rows if os.getsid(row["pid"]) == worker.pid}


def triggerers_of(cluster, scene):
    """The jobs of the triggerers in which the tasks of a scene wait."""
    return {
        trigger["triggerer_id"]
        for dag_id in (scene.gates, scene.mails, scene.batch)
        for trigger in cluster.triggers(dag_id)
    }


def fill_the_workers(cluster, scene):
    """Beside the batch three dispatches run; four more wait on the workers, and one in Redis."""
    cluster.trigger(scene.mails)
    cluster.wait_for_states(scene.mails, {"running": 3, "queued": LEADS - 3})
    cluster.wait_until(lambda: cluster.redis.queued() == LEADS - 7, "the workers to take all that they can")


def test_a_worker_is_killed(cluster):
    with Scene(cluster, "worker") as scene:
        scene.send_the_batch(hold=100)
        fill_the_workers(cluster, scene)
        victim = cluster.worker_of(scene.batch)
        lost = tasks_on(cluster, victim, scene.mails)
        cluster.replace(victim)
        scene.succeeds(scene.mails)
        scene.succeeds(scene.batch)
        scene.assert_one_message_each()

        assert len(lost) == 1
        assert scene.tries(scene.mails) == [2 if number in lost else 1 for number in range(LEADS)]
        assert scene.tries(scene.batch) == [2]
        # Two had been queued on it.
        events = cluster.sql(
            "SELECT DISTINCT map_index FROM log WHERE dag_id = ? AND event = 'stuck in queued reschedule'", scene.mails
        )
        assert len(events) >= 2


def test_a_triggerer_is_killed(cluster):
    with Scene(cluster, "triggerer") as scene:
        scene.wait_with_gates()
        scene.sandbox.reset_requests()
        scene.sandbox.wait_for_requests(5, timeout=60)
        requests = scene.sandbox.requests
        seconds = (requests[-1].received_at - requests[0].received_at).total_seconds()
        # Each triggerer makes a request per interval, up to a tenth of it later.
        assert len(requests) <= 2 * (seconds / INTERVAL + 1)

        scene.wait_with_mails()
        scene.send_the_batch(hold=1)
        cluster.wait_for_states(scene.batch, {"deferred": 1})
        (batch,) = cluster.triggers(scene.batch)
        cluster.wait_until(lambda: batch["id"] in cluster.started_triggers(scene.batch), "the batch to wait")
        lost = batch["triggerer_id"]
        victim = cluster.triggerer_of(scene.batch)
        victim.kill()
        cluster.wait_until(lambda: lost not in triggerers_of(cluster, scene), "the other triggerer to take over")
        assert cluster.states(scene.gates) == {"deferred": GATES}
        assert cluster.states(scene.mails) == {"deferred": LEADS}

        cluster.replace(victim)
        scene.sandbox.reconnect("acc_gate")
        for dag_id in (scene.gates, scene.mails, scene.batch):
            scene.succeeds(dag_id)
        scene.assert_one_message_each()


def test_a_scheduler_is_killed(cluster):
    with Scene(cluster, "scheduler") as scene:
        scene.send_the_batch(hold=15)
        cluster.trigger(scene.mails)
        cluster.wait_until(lambda: cluster.states(scene.mails)["running"], "the first dispatches")
        victim = cluster.scheduler_of(scene.batch)
        victim.kill()
        cluster.wait_for_states(scene.mails, {"deferred": LEADS})
        # These tasks have no retries.
        scene.succeeds(scene.mails)
        scene.succeeds(scene.batch)
        scene.assert_one_message_each()
        cluster.replace(victim)


@long_only
@pytest.mark.parametrize("name", ["redis_restarts", "redis_loses"])
def test_redis_restarts(cluster, name):
    with Scene(cluster, name) as scene:
        scene.send_the_batch(hold=20)
        fill_the_workers(cluster, scene)
        cluster.redis.stop()
        if name == "redis_loses":
            cluster.redis.forget()
        cluster.redis.start()
        scene.succeeds(scene.mails)
        scene.succeeds(scene.batch)
        scene.assert_one_message_each()
        # What ran went on, and what was queued was queued again.
        assert scene.tries(scene.mails) == [1] * LEADS
        assert scene.tries(scene.batch) == [1]


@long_only
def test_postgres_restarts(cluster):
    with Scene(cluster, "postgres") as scene:
        scene.wait_with_gates()
        scene.send_the_batch(hold=POSTGRES_IS_AWAY + 5)
        cluster.trigger(scene.mails)
        cluster.wait_until(lambda: cluster.states(scene.mails)["running"], "the first dispatches")
        cluster.postgres.stop()
        time.sleep(POSTGRES_IS_AWAY)
        cluster.postgres.start()
        scene.succeeds(scene.mails)
        scene.succeeds(scene.batch)
        scene.assert_one_message_each()
        # The gates have no retries.
        scene.sandbox.reconnect("acc_gate")
        scene.succeeds(scene.gates)


def test_revor_is_away(cluster):
    with Scene(cluster, "away") as scene:
        scene.wait_with_gates()
        scene.send_the_batch(hold=30)
        cluster.trigger(scene.mails)
        cluster.wait_until(lambda: cluster.states(scene.mails)["running"], "the first dispatches")
        scene.sandbox.stop()
        time.sleep(REVOR_IS_AWAY)
        assert cluster.states(scene.gates) == {"deferred": GATES}
        for dag_id in (scene.mails, scene.batch):
            # Nothing has failed for good.
            assert set(cluster.states(dag_id)) <= {"deferred", "up_for_retry", "scheduled", "queued", "running"}
        scene.sandbox.start()
        scene.sandbox.reconnect("acc_gate")
        for dag_id in (scene.gates, scene.mails, scene.batch):
            scene.succeeds(dag_id)
        scene.assert_one_message_each()


@long_only
def test_revor_is_away_for_longer_than_the_retries_last(cluster):
    with Scene(cluster, "away_too_long") as scene:
        # Revor accepts some messages, which nobody hears of.
        scene.sandbox.lose_answer(times=3, method="POST")
        scene.sandbox.drop(times=10_000)
        cluster.trigger(scene.batch)
        cluster.trigger(scene.mails)
        cluster.wait_for_states(scene.mails, {"failed": LEADS})
        cluster.wait_for_states(scene.batch, {"failed": 1})
        assert 1 <= len(scene.sandbox.jobs) <= 3

        scene.sandbox.clear_faults()
        for dag_id in (scene.mails, scene.batch):
            cluster.clear(dag_id)
            scene.succeeds(dag_id)
        scene.assert_one_message_each()
