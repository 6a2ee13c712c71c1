"""A real Airflow of a test's own: every component a process, on 127.0.0.1, with a home that is thrown away."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import secrets
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil
import requests
from cryptography.fernet import Fernet, InvalidToken
from local_airflow import HOST, Component, airflow_environment, free_port, migrate

T = TypeVar("T")

# One key for all Airflows of a session, because each begins with a copy of the same database.
_FERNET_KEY = Fernet.generate_key()


class AirflowCluster:
    """
    An api-server, a scheduler with a LocalExecutor, a dag-processor and triggerers, for a ``with`` block.

    The metadata database is SQLite with a write-ahead log and a long busy timeout, which bears two triggerers and
    a hundred gates. Nothing but the processes started here is ever ended.

    :param home: an empty folder, the AIRFLOW_HOME.
    :param dags: the source of each Dag file, by the name of the file.
    :param config: more of Airflow's options, as environment variables.
    """

    def __init__(self, home: Path, dags: Mapping[str, str], config: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.components: list[Component] = []
        self._database = home / "airflow.db"
        self._fernet = Fernet(_FERNET_KEY)
        self._url = f"http://{HOST}:{(port := free_port())}"
        self._http = requests.Session()
        self._http.trust_env = False

        dags_folder = home / "dags"
        dags_folder.mkdir()
        for name, source in dags.items():
            (dags_folder / name).write_text(source)

        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("AIRFLOW") and not name.lower().endswith("_proxy")
        }
        self._env = {
            **inherited,
            "NO_COLOR": "1",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__BASE_URL": self._url,
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY.decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            **self._services(),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            # A killed triggerer's gates are taken over after so many seconds.
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            # One takes so many gates at a time, so that two share the work.
            "AIRFLOW__TRIGGERER__MAX_TRIGGER_TO_SELECT_PER_LOOP": "5",
            # A worker may notice only then that its task has ended; by default, after 5 seconds.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            **(config or {}),
        }

    def _services(self) -> dict[str, str]:
        """The options that say where the database is, and whatever else is behind Airflow."""
        return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}?timeout=20"}

    def __enter__(self) -> Self:
        try:
            self._migrate()
            self.api_server = self._start("api-server", "--workers", "1")
            self.scheduler = self.start_scheduler()
            self.dag_processor = self._start("dag-processor")
            self.start_triggerer()
            self.wait_until(self._healthy, "a healthy Airflow")
        except BaseException as e:
            for component in self.components:
                e.add_note(f"{component.log.name}:\n{component.tail()}")
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every component that runs, at once: to end in peace, each would take its time."""
        with ExitStack() as stack:
            stack.callback(self._http.close)
            # Each, whatever becomes of the others.
            for component in self.components:
                stack.callback(component.kill)

    def start_scheduler(self) -> Component:
        """Start one more scheduler."""
        return self._start("scheduler", "--skip-serve-logs")

    def start_triggerer(self) -> Component:
        """Start one more triggerer; returns when it runs."""
        (before,) = self.sql("SELECT coalesce(max(id), 0) AS id FROM job")
        triggerer = self._start("triggerer", "--skip-serve-logs")
        self.wait_until(
            lambda: self.sql(
                "SELECT id FROM job WHERE job_type = 'TriggererJob' AND state = 'running' AND id > ?", before["id"]
            ),
            "a running triggerer",
        )
        return triggerer

    @property
    def triggerers(self) -> list[Component]:
        """The triggerers that run."""
        return [
            component for component in self.components if component.name.startswith("triggerer") and component.alive
        ]

    # What goes on

    def sql(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Read the metadata database; each row by the names of its columns."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=60)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, parameters)]

    def tasks(self, dag_id: str) -> dict[str, dict[str, Any]]:
        """What is known of each task instance of a Dag that was triggered once, by its task_id."""
        rows = self.sql("SELECT task_id, state, try_number, trigger_id FROM task_instance WHERE dag_id = ?", dag_id)
        return {row.pop("task_id"): row for row in rows}

    def states(self, dag_id: str) -> Counter[str]:
        """How many task instances of a Dag, in all its runs, are in each state."""
        rows = self.sql("SELECT state FROM task_instance WHERE dag_id = ?", dag_id)
        return Counter(str(row["state"]) for row in rows)

    def xcoms(self, dag_id: str, key: str) -> dict[str, Any]:
        """The XComs with one key, decoded, by task_id."""
        rows = self.sql("SELECT task_id, value FROM xcom WHERE dag_id = ? AND key = ?", dag_id, key)
        return {row["task_id"]: json.loads(row["value"]) for row in rows}

    def triggers(self, dag_id: str) -> list[dict[str, Any]]:
        """The triggers that task instances of a Dag wait for, their ``kwargs`` as the text of a JSON object."""
        rows = self.sql(
            "SELECT trigger.id, classpath, triggerer_id, kwargs FROM trigger "
            "JOIN task_instance ON task_instance.trigger_id = trigger.id WHERE dag_id = ?",
            dag_id,
        )
        return [{**row, "kwargs": self.decrypted(row["kwargs"])} for row in rows]

    def decrypted(self, value: str) -> str:
        """A value of the metadata database, decrypted if it is encrypted: Airflow 3.3 does so with some triggers."""
        try:
            return self._fernet.decrypt(value).decode()
        except InvalidToken:
            return value

    def started_triggers(self, dag_id: str) -> set[int]:
        """The ids of a Dag's triggers that triggerers have begun to run: they take them some time before that."""
        logs = (self.home / "logs").glob(f"dag_id={dag_id}/**/*.trigger.*.log")
        return {int(found) for log in logs for found in re.findall(r"\(ID (\d+)\) starting", log.read_text())}

    def task_log(self, dag_id: str, task_id: str) -> str:
        """All that a task has logged, on workers and in triggerers, in all its tries."""
        files = sorted((self.home / "logs").glob(f"dag_id={dag_id}/*/task_id={task_id}/**/*.log"))
        return "".join(file.read_text() for file in files)

    def finished_runs(self, dag_id: str) -> int:
        """How often the scheduler has learned that a worker is done with a task of a Dag, deferred or ended."""
        return self.scheduler.log.read_text().count(f"TaskInstance Finished: dag_id={dag_id},")

    def running_tasks(self) -> int:
        """How many tasks workers run at this moment."""
        # Each worker of the LocalExecutor is a process that forks one more for the task it runs.
        workers = psutil.Process(self.scheduler.pid).children()
        return sum(len(worker.children()) for worker in workers)

    # What happens to it

    def kill_task(self, dag_id: str, task_id: str, map_index: int = -1) -> None:
        """SIGKILL the process that a task runs in, and no other: its supervisor and the worker live on."""
        (task,) = self.sql(
            "SELECT pid FROM task_instance WHERE dag_id = ? AND task_id = ? AND map_index = ? AND state = 'running'",
            dag_id,
            task_id,
            map_index,
        )
        if os.getsid(task["pid"]) not in self._task_sessions():
            raise RuntimeError(f"process {task['pid']} is none of this Airflow's tasks")
        os.kill(task["pid"], signal.SIGKILL)

    def _task_sessions(self) -> set[int]:
        """The sessions that task processes belong to."""
        return {self.scheduler.pid}

    # What people do

    def api(self, method: str, path: str, **json_body: Any) -> Any:
        """Call Airflow's REST API, version 2, as an admin."""
        if "Authorization" not in self._http.headers:
            token = self._http.get(f"{self._url}/auth/token", timeout=60).json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
        for _ in range(3):
            response = self._http.request(method, f"{self._url}/api/v2{path}", json=json_body or None, timeout=60)
            # On SQLite, two sessions of one request may wait for each other until the busy timeout undoes it all.
            if response.status_code != 500:
                break
        if not response.ok:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None

    def trigger(self, dag_id: str) -> str:
        """Trigger a Dag once the dag-processor has seen it; returns the run_id."""
        self.wait_until(
            lambda: self.sql("SELECT 1 FROM serialized_dag WHERE dag_id = ?", dag_id), f"the Dag {dag_id} to be parsed"
        )
        return self.api("POST", f"/dags/{dag_id}/dagRuns", logical_date=None)["dag_run_id"]

    def wait_until(self, condition: Callable[[], T], what: str, timeout: float = 180) -> T:
        """
        Wait until a condition holds.

        :param condition: asked twice a second.
        :param what: what is waited for.
        :param timeout: the longest wait, in seconds.
        :return: what the condition gave.
        :raises TimeoutError: if it does not hold by then.
        :raises RuntimeError: if a component ends by itself.
        """
        end = time.monotonic() + timeout
        while not (result := condition()):
            for component in [one for one in self.components if one.lost]:
                self._on_lost(component)
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout:g} s in vain for {what}")
            time.sleep(0.5)
        return result

    def wait_for_states(self, dag_id: str, states: Mapping[str, int], timeout: float = 180) -> None:
        """Wait until the task instances of a Dag are in these states, so many in each."""
        try:
            self.wait_until(lambda: self.states(dag_id) == states, f"{dag_id} to be {dict(states)}", timeout)
        except TimeoutError as e:
            raise TimeoutError(f"{e}: it is {dict(self.states(dag_id))}") from None

    def _on_lost(self, component: Component) -> None:
        """A component has ended by itself."""
        raise RuntimeError(f"{component.name} has ended by itself:\n{component.tail()}")

    def _start(self, *arguments: str) -> Component:
        number = sum(component.name.startswith(arguments[0]) for component in self.components)
        log = self.home / f"{arguments[0]}{f'-{number + 1}' if number else ''}.log"
        component = Component(list(arguments), self._env, log)
        self.components.append(component)
        return component

    def _migrate(self) -> None:
        shutil.copyfile(_migrated_database(), self._database)
        with closing(sqlite3.connect(self._database)) as database:
            # Stays in the file: readers and a writer don't hold each other up.
            database.execute("PRAGMA journal_mode = WAL")

    def _healthy(self) -> bool:
        try:
            return all(part["status"] == "healthy" for part in self.api("GET", "/monitor/health").values())
        except requests.ConnectionError:
            return False


@functools.cache
def _migrated_database() -> Path:
    """An empty metadata database for all Airflows of a session to begin with: to migrate one takes seconds."""
    home = Path(tempfile.mkdtemp(prefix="revor-migrated-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    migrate(airflow_environment(home, home / "dags") | {"AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY.decode()})
    return home / "airflow.db"
