"""A throw-away Airflow on this machine: its environment, its components as processes, and an end for all of them."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]

HOST = "127.0.0.1"
ROOT = Path(__file__).parent.parent
AIRFLOW = (sys.executable, "-m", "airflow")


class AirflowNotRunningError(Exception):
    """Airflow did not start, or one of its components ended by itself; the message has the end of its output."""


def airflow_environment(home: Path, dags_folder: Path) -> dict[str, str]:
    """
    Return an environment without anything of this shell's own Airflow, least of all its database.

    :param home: The AIRFLOW_HOME.
    :param dags_folder: Where the Dags are.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


def migrate(environment: Mapping[str, str]) -> None:
    """
    Create the metadata database.

    :param environment: The whole environment, as of :func:`airflow_environment`.
    :raises AirflowNotRunningError: if that fails.
    """
    _run(["db", "migrate"], environment)


def _run(arguments: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [*AIRFLOW, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C is for whoever started it, who then ends it.
        start_new_session=True,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-40:])
        raise AirflowNotRunningError(f"`airflow {' '.join(arguments[:2])}` failed:\n{last}")


class Component:
    """
    One component of Airflow: a process with all that it starts, in a session of its own.

    :param arguments: What comes after ``airflow``.
    :param env: The whole environment.
    :param log: Where the output goes.
    """

    def __init__(self, arguments: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = log.stem
        self.log = log
        self._wanted = True
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*AIRFLOW, *arguments],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of its first process, and so of the session."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its first process runs."""
        return self._process.poll() is None

    @property
    def lost(self) -> bool:
        """Whether it has ended by itself."""
        return self._wanted and not self.alive

    def processes(self) -> list[psutil.Process]:
        """All its processes. Tasks have process groups of their own, but nothing in Airflow leaves the session."""
        found = []
        for process in psutil.process_iter():
            with suppress(ProcessLookupError, PermissionError, psutil.Error):
                if os.getsid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def terminate(self) -> None:
        """Ask it to end, as an administrator does, without waiting for it."""
        self._wanted = False
        if self.alive:
            self._process.terminate()

    def stop(self, timeout: float = 20) -> None:
        """Ask it to end; what is still there after the timeout is killed."""
        self.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End it as a crash of its machine does: SIGKILL to every process."""
        self._wanted = False
        _kill_all(self.processes)
        self._process.wait()

    def tail(self, lines: int = 30) -> str:
        """Return the end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _kill_all(find: Callable[[], list[psutil.Process]]) -> None:
    # Once more after each round: a process may have forked in between.
    while processes := find():
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=5)


class LocalAirflow:
    """
    An Airflow with a UI on a free port of 127.0.0.1, without a login, for a ``with`` block.

    :param home: An empty folder, the AIRFLOW_HOME.
    :param dags_folder: Where the Dags are; they are not paused.
    :param connections: The connections that it has, by their ids.
    :param config: More of Airflow's options, as environment variables.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        connections: Mapping[str, Mapping[str, str]],
        config: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.url = f"http://{HOST}:{(port := free_port())}"
        self.components: list[Component] = []
        self._connections = connections
        self._database = home / "airflow.db"
        self._env = {
            **airflow_environment(home, dags_folder),
            # Airflow speaks to itself over loopback.
            "NO_PROXY": HOST,
            "no_proxy": HOST,
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}?timeout=20",
            **(config or {}),
        }

    def __enter__(self) -> Self:
        try:
            migrate(self._env)
            with closing(sqlite3.connect(self._database)) as database:
                # Stays in the file: readers and a writer don't hold each other up.
                database.execute("PRAGMA journal_mode = WAL")
            for conn_id, connection in self._connections.items():
                _run(["connections", "add", conn_id, "--conn-json", json.dumps(dict(connection))], self._env)
            for arguments in (
                ["api-server", "--workers", "1"],
                ["scheduler", "--skip-serve-logs"],
                ["dag-processor"],
                ["triggerer", "--skip-serve-logs"],
            ):
                self.components.append(Component(arguments, self._env, self.home / f"{arguments[0]}.log"))
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every component, all at the same time."""
        with ExitStack() as stack:
            for component in self.components:
                component.terminate()
                # Each, whatever becomes of the others.
                stack.callback(component.stop)
        # A process that was being started when ctrl-C came is in no list.
        _kill_all(self._processes)

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("AIRFLOW_HOME") == str(self.home):
                    found.append(process)
        return found

    def check(self) -> None:
        """
        Look whether every component runs.

        :raises AirflowNotRunningError: if one has ended by itself.
        """
        for component in self.components:
            if component.lost:
                raise AirflowNotRunningError(f"Airflow's {component.name} has ended by itself:\n{component.tail()}")

    def _wait_until_healthy(self, timeout: float = 180) -> None:
        end = time.monotonic() + timeout
        while not self._healthy():
            self.check()
            if time.monotonic() > end:
                raise AirflowNotRunningError(f"Airflow was not healthy within {timeout:g} s")
            time.sleep(0.5)

    def _healthy(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self.url}/api/v2/monitor/health", timeout=10) as response:
                parts = json.load(response)
        except OSError:
            return False
        return all(part["status"] == "healthy" for part in parts.values())


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
