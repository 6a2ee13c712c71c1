"""An Airflow as big users run it: PostgreSQL, Redis, CeleryExecutor, several schedulers, triggerers and workers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
from local_airflow import HOST, Component, free_port
from system.airflow_cluster import AirflowCluster

# initdb refuses to run as root.
_USER = "nobody"


class Service:
    """A server that is no part of Airflow, on a free port of 127.0.0.1, with a folder that is thrown away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        folder.mkdir()
        if os.getuid() == 0:
            shutil.chown(folder, _USER)
        self._process: subprocess.Popen[bytes] | None = None

    def run_as_user(self, *arguments: str) -> list[str]:
        """The command that runs another without root's rights."""
        return ["setpriv", f"--reuid={_USER}", "--clear-groups", *arguments] if os.getuid() == 0 else list(arguments)

    def command(self) -> list[str]:
        """The command of the server, which stays in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it can be used."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, or start it again with what it has stored; returns when it can be used."""
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.run_as_user(*self.command()), stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        end = time.monotonic() + 60
        while not self.answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"{self.folder.name} does not answer")
            time.sleep(0.2)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Postgres(Service):
    """A PostgreSQL with one database, ``airflow``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))[-1]
        self._bin, self._data = newest, folder / "data"
        subprocess.run(
            self.run_as_user(
                str(newest / "initdb"),
                "-D",
                str(self._data),
                "-U",
                "airflow",
                "--auth=trust",
                "--no-sync",
                "-E",
                "UTF8",
            ),
            check=True,
            capture_output=True,
            cwd=folder,
        )

    @property
    def address(self) -> str:
        """Where its database is, from the user on."""
        return f"airflow@{HOST}:{self.port}/airflow"

    def command(self) -> list[str]:
        options = ["-c", "fsync=off", "-c", "max_connections=300", "-c", f"unix_socket_directories={self.folder}"]
        return [str(self._bin / "postgres"), "-D", str(self._data), "-h", HOST, "-p", str(self.port), *options]

    def answers(self) -> bool:
        with suppress(psycopg2.OperationalError), closing(self.connect("postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = 'airflow'")
                if not cursor.fetchall():
                    cursor.execute("CREATE DATABASE airflow")
            return True
        return False

    def connect(self, database: str = "airflow") -> Any:
        """Open a connection."""
        return psycopg2.connect(host=HOST, port=self.port, user="airflow", dbname=database)


class Redis(Service):
    """A Redis that writes each command down, so that a restart loses nothing."""

    def command(self) -> list[str]:
        return ["redis-server", "--bind", HOST, "--port", str(self.port), "--appendonly", "yes", "--save", ""]

    def answers(self) -> bool:
        import redis

        with suppress(redis.ConnectionError), closing(redis.Redis(HOST, self.port)) as client:
            return bool(client.ping())
        return False


class CeleryCluster(AirflowCluster):
    """Two schedulers, two triggerers and two workers around PostgreSQL and Redis."""

    def __init__(self, home: Path, dags: Mapping[str, str], config: Mapping[str, str] | None = None) -> None:
        self.postgres, self.redis = Postgres(home.parent / "postgres"), Redis(home.parent / "redis")
        self.workers: list[Component] = []
        super().__init__(home, dags, config)

    def _services(self) -> dict[str, str]:
        return {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{self.postgres.address}",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "32",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://{HOST}:{self.redis.port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{self.postgres.address}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "60",
            # What was queued on a worker that was killed is queued again after so many seconds.
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        }

    def __enter__(self) -> CeleryCluster:
        try:
            self.postgres.start()
            self.redis.start()
            super().__enter__()
            self.start_scheduler()
            self.start_triggerer()
            for _ in range(2):
                self.start_worker()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        super().stop()
        self.redis.stop()
        self.postgres.stop()

    def start_worker(self) -> Component:
        """Start one more worker; returns when it takes tasks."""
        number = len(self.workers) + 1
        arguments = ("celery", "worker", "--skip-serve-logs", "--celery-hostname", f"worker-{number}@%h")
        worker = self._start(*arguments)
        self.workers.append(worker)
        self.wait_until(lambda: "ready." in worker.log.read_text(errors="replace"), "a worker that is ready")
        return worker

    def revive(self) -> None:
        """Start each component again that could not do without its database, as a service manager does."""
        for component in [one for one in self.components if one.lost]:
            self.components.remove(component)
            if component in self.workers:
                self.workers.remove(component)
                self.start_worker()
            elif component.name.startswith("triggerer"):
                self.start_triggerer()
            elif component.name.startswith("scheduler"):
                self.start_scheduler()
            else:
                raise RuntimeError(f"{component.name} has ended by itself:\n{component.tail()}")

    @property
    def schedulers(self) -> list[Component]:
        """The schedulers that run."""
        return [one for one in self.components if one.name.startswith("scheduler") and one.alive]

    def sql(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with closing(self.postgres.connect()) as connection:
            connection.set_session(readonly=True)
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(query.replace("?", "%s"), parameters)
                return [dict(row) for row in cursor.fetchall()]

    def _prepare_database(self) -> None:
        """PostgreSQL needs nothing."""

    def _task_sessions(self) -> set[int]:
        return {worker.pid for worker in self.workers}
