"""An Airflow as big users run it: PostgreSQL, Redis, CeleryExecutor, several schedulers, triggerers and workers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from cluster.services import Postgres, Redis
from local_airflow import HOST, Component, migrate
from system.airflow_cluster import AirflowCluster

#: Seconds until Airflow counts as lost: a task without heartbeats, a scheduler or a triggerer without them.
LOST_AFTER = 15
#: Seconds that a task may be queued before it is queued again.
QUEUED_FOR = 25

# Airflow's own timeouts, as short as a busy machine bears.
_SHORT = {
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": str(QUEUED_FOR),
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "2",
    # On a machine that is slow enough, tasks queue up without any fault.
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(LOST_AFTER),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": str(LOST_AFTER),
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(LOST_AFTER),
}


class CeleryCluster(AirflowCluster):
    """
    Two schedulers, two triggerers and two workers around PostgreSQL and Redis.

    A component that ends by itself is started again, as a service manager does it.

    :param home: an empty folder, the AIRFLOW_HOME; the servers store theirs beside it.
    :param dags: the source of each Dag file, by the name of the file.
    :param config: more of Airflow's options, as environment variables.
    """

    def __init__(self, home: Path, dags: Mapping[str, str], config: Mapping[str, str] | None = None) -> None:
        self.postgres, self.redis = Postgres(home.parent / "postgres"), Redis(home.parent / "redis")
        self._arguments: dict[Component, tuple[str, ...]] = {}
        super().__init__(home, dags, {**_SHORT, **(config or {})})

    def _services(self) -> dict[str, str]:
        return {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{self.postgres.address}",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "32",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://{HOST}:{self.redis.port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{self.postgres.address}",
            "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
            # Two tasks run on a worker, and two more wait there.
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "2",
        }

    def __enter__(self) -> CeleryCluster:
        try:
            self.postgres.start()
            self.redis.start()
            super().__enter__()
            self._start_the_others()
        except BaseException:
            self.stop()
            raise
        return self

    def _start_the_others(self) -> None:
        # Together: each takes seconds to import Airflow.
        self.start_scheduler()
        self._start("triggerer", "--skip-serve-logs")
        for number in (1, 2):
            self._start("celery", "worker", "--skip-serve-logs", "--celery-hostname", f"worker-{number}@%h")
        self.wait_until(lambda: self.running_jobs("SchedulerJob") >= 2, "two schedulers")
        self.wait_until(lambda: self.running_jobs("TriggererJob") >= 2, "two triggerers")
        for worker in self.workers:
            self.wait_until(
                lambda one=worker: "ready." in one.log.read_text(errors="replace"), "a worker that is ready"
            )

    def stop(self) -> None:
        """End every component and server."""
        with ExitStack() as stack:
            stack.callback(self.postgres.stop)
            stack.callback(self.redis.stop)
            super().stop()

    def replace(self, component: Component) -> None:
        """Kill a component, unless it has ended, and start it again, as a service manager does."""
        component.kill()
        self._start(*self._arguments[component])

    def _start(self, *arguments: str) -> Component:
        component = super()._start(*arguments)
        self._arguments[component] = arguments
        return component

    def _on_lost(self, component: Component) -> None:
        self.replace(component)

    @property
    def workers(self) -> list[Component]:
        """The workers that run."""
        return [one for one in self.components if one.name.startswith("celery") and one.alive]

    @property
    def schedulers(self) -> list[Component]:
        """The schedulers that run."""
        return [one for one in self.components if one.name.startswith("scheduler") and one.alive]

    def running_jobs(self, job_type: str) -> int:
        """Return how many schedulers or triggerers Airflow knows to run."""
        (row,) = self.sql("SELECT count(*) AS n FROM job WHERE job_type = ? AND state = 'running'", job_type)
        return row["n"]

    def worker_of(self, dag_id: str) -> Component:
        """Return the worker that runs the only task of a Dag."""
        (task,) = self.sql("SELECT pid FROM task_instance WHERE dag_id = ? AND state = 'running'", dag_id)
        session = os.getsid(task["pid"])
        return next(worker for worker in self.workers if worker.pid == session)

    def scheduler_of(self, dag_id: str) -> Component:
        """Return the scheduler that queued the only task of a Dag."""
        return next(one for one in self.schedulers if f"<TaskInstance: {dag_id}." in one.log.read_text())

    def triggerer_of(self, dag_id: str) -> Component:
        """Return the triggerer in which the only task of a Dag waits."""
        (trigger,) = self.triggers(dag_id)
        jobs = self.sql("SELECT id FROM job WHERE job_type = 'TriggererJob' ORDER BY id")
        triggerers = [one for one in self.components if one.name.startswith("triggerer")]
        return triggerers[[job["id"] for job in jobs].index(trigger["triggerer_id"])]

    def clear(self, dag_id: str) -> None:
        """Clear the failed tasks of a Dag, as a person does."""
        self.api("POST", f"/dags/{dag_id}/clearTaskInstances", dry_run=False, only_failed=True)

    def sql(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        import psycopg2.extras

        with closing(self.postgres.connect()) as connection:
            connection.set_session(readonly=True)
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(query.replace("?", "%s"), parameters)
                return [dict(row) for row in cursor.fetchall()]

    def _migrate(self) -> None:
        migrate(self._env)

    def _task_sessions(self) -> set[int]:
        return {worker.pid for worker in self.workers}
