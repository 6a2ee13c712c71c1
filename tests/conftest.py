"""A throw-away Airflow for the whole test session, made before anything imports Airflow."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from project import ROOT

_home = Path(tempfile.mkdtemp(prefix="revor-tests-"))
atexit.register(shutil.rmtree, _home, ignore_errors=True)
# From Airflow 3 on, `dag.test()` finds only what is in the Dags folder: tests put theirs beside the examples.
_dags = _home / "dags"
shutil.copytree(ROOT / "example_dags", _dags, ignore=shutil.ignore_patterns("__pycache__"))
# Nothing of an Airflow that this shell may be set up for: least of all its database.
for name in [name for name in os.environ if name.startswith("AIRFLOW") or name.lower().endswith("_proxy")]:
    del os.environ[name]
os.environ.update(
    AIRFLOW_HOME=str(_home),
    AIRFLOW__CORE__DAGS_FOLDER=str(_dags),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
)

# Session and module fixtures that take many seconds: what needs one stays on one of xdist's workers. Not `airflow_db`,
# which takes ten: the Dags that tests run take far longer than to make it twice.
COSTLY_FIXTURES = ("dist", "results", "records")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in COSTLY_FIXTURES:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable():
    """Escape lone surrogates, which some tests send and log: xdist's workers cannot report them."""
    return _without_surrogates((yield))


def _without_surrogates(value):
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case list() | tuple():
            return type(value)(map(_without_surrogates, value))
        case dict():
            return {key: _without_surrogates(item) for key, item in value.items()}
    return value


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's metadata database, for what runs a Dag."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    with contextlib.suppress(ImportError):  # Airflow 2
        _keep_the_api_server(importlib.import_module("airflow.sdk.execution_time.supervisor"))


def _keep_the_api_server(supervisor: ModuleType) -> None:
    """Have `dag.test()` make its API server once, and not for each task: that takes longer than the task."""
    from airflow.api_fastapi.common.dagbag import create_dag_bag

    make = functools.cache(supervisor.in_process_api_server)

    def in_process_api_server() -> object:
        server = make()
        # As in a new one: it has seen no Dag yet.
        server.app.state.dag_bag = create_dag_bag()
        return server

    supervisor.in_process_api_server = in_process_api_server


@pytest.fixture
def dag_file(airflow_db, monkeypatch) -> Callable[[str, str], ModuleType]:
    """Return a function that puts a file into the Dags folder and imports it."""
    monkeypatch.syspath_prepend(str(_dags))

    def write(name: str, code: str) -> ModuleType:
        (_dags / f"{name}.py").write_text(code)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    return write


@pytest.fixture
def connect(monkeypatch):
    """Return a function that sets the connection ``revor_default``, untouched by this machine's own settings."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    def set_connection(conn_id: str = "revor_default", **fields: object) -> None:
        value = {"conn_type": "revor", "password": "sk-revor-canary", **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    return set_connection
