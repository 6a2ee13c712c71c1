"""PostgreSQL and Redis as tests start them: on free ports of 127.0.0.1, in folders that are thrown away."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from local_airflow import HOST, free_port

HOW_TO_INSTALL = "PostgreSQL and Redis are needed: apt-get install postgresql redis-server"

# PostgreSQL refuses to run as root.
_UNPRIVILEGED = "nobody"


def postgres_folder() -> Path | None:
    """Return the folder of PostgreSQL's programs, of the newest one that is installed; None without any."""
    # Debian keeps them off the PATH.
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    return Path(found).parent if found else None


def missing() -> list[str]:
    """Return which of the servers are not installed."""
    return [
        name
        for name, found in (("PostgreSQL", postgres_folder()), ("Redis", shutil.which("redis-server")))
        if found is None
    ]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that everybody may enter, unlike pytest's own: the servers run without root's rights."""
    with tempfile.TemporaryDirectory(prefix="revor-cluster-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


class Service:
    """
    A server beside Airflow, without root's rights.

    :param folder: what it stores; the folder is made, and everybody must be able to reach it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        folder.mkdir()
        if os.getuid() == 0:
            user = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def command(self) -> list[str]:
        """Return the command of the server, which stays in the foreground."""
        raise NotImplementedError

    def responds(self) -> bool:
        """Return whether it can be used."""
        raise NotImplementedError

    def run(self, *command: str) -> None:
        """Run a command that ends, as the server's user."""
        done = subprocess.run(command, **self._user, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stderr}")

    def start(self) -> None:
        """Start it, or start it again with what it has stored; returns when it can be used."""
        log = self.folder.parent / f"{self.folder.name}.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command(), **self._user, stdout=output, stderr=output, cwd=self.folder, start_new_session=True
            )
        end = time.monotonic() + 60
        while not self.responds():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"{self.folder.name} does not respond:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)

    def processes(self) -> list[psutil.Process]:
        """Return its processes."""
        main = psutil.Process(self._process.pid)
        return [main, *main.children(recursive=True)]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """
        End it.

        :param how: the signal. PostgreSQL waits for its clients at SIGTERM, and hangs up on them at SIGINT.
        """
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
        programs = postgres_folder()
        if programs is None:
            raise RuntimeError(HOW_TO_INSTALL)
        self._server, self._data = programs / "postgres", folder / "data"
        self.run(
            *(str(programs / "initdb"), "--pgdata", str(self._data), "--username", "airflow"),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )

    @property
    def address(self) -> str:
        """Where its database is: what comes after ``postgresql://``."""
        return f"airflow@{HOST}:{self.port}/airflow"

    def command(self) -> list[str]:
        # Nothing that is stored here need outlive a crash of the machine.
        options = ["-c", "fsync=off", "-c", "max_connections=300", "-c", f"unix_socket_directories={self.folder}"]
        return [str(self._server), "-D", str(self._data), "-h", HOST, "-p", str(self.port), *options]

    def responds(self) -> bool:
        import psycopg2

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
        import psycopg2

        return psycopg2.connect(host=HOST, port=self.port, user="airflow", dbname=database)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        super().stop(how)


class Redis(Service):
    """A Redis that appends each command to a file, so that a restart loses nothing."""

    def command(self) -> list[str]:
        return ["redis-server", "--bind", HOST, "--port", str(self.port), "--appendonly", "yes", "--save", ""]

    def responds(self) -> bool:
        import redis

        with suppress(redis.ConnectionError), closing(redis.Redis(HOST, self.port)) as client:
            return bool(client.ping())
        return False

    def queued(self) -> int:
        """Return how many of Airflow's tasks no worker has taken."""
        import redis

        with closing(redis.Redis(HOST, self.port)) as client:
            return client.llen("default")

    def forget(self) -> None:
        """Delete what it has stored; it must be stopped."""
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
