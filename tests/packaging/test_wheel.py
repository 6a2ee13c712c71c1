"""The wheel, built, installed into a fresh environment beside the Airflow that runs this test, and seen by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import distributions

import pytest

pytestmark = pytest.mark.wheel


def run(*command, **kwargs):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **kwargs).stdout


@pytest.fixture(scope="module")
def airflow(wheel, tmp_path_factory):
    """Return a function that runs ``airflow …`` in an environment that has the wheel alone."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    constraints = venv.parent / "constraints.txt"
    # The same versions as here, so that each Airflow of the matrix is seen with what fits it.
    pins = {d.name: d.version for d in distributions() if d.name != "airflow-provider-revor"}
    constraints.write_text("\n".join(f"{name}=={version}" for name, version in pins.items()))
    run(sys.executable, "-m", "uv", "venv", "--python", sys.executable, venv)
    run(sys.executable, "-m", "uv", "pip", "install", "--python", venv, "--constraints", constraints, wheel)
    environment = {**os.environ, "AIRFLOW_HOME": str(venv.parent / "home")}
    return lambda *words: run(venv / "bin" / "airflow", *words, env=environment)


def rows(output):
    # Airflow 3.0 logs to the same stream.
    (table,) = (line for line in output.splitlines() if line.startswith("[{"))
    return json.loads(table)


def test_it_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"airflow_provider_revor"}
    assert "airflow_provider_revor/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_airflow_lists_the_provider(airflow):
    (provider,) = (
        p for p in rows(airflow("providers", "list", "-o", "json")) if p["package_name"] == "airflow-provider-revor"
    )
    assert provider["version"] == "0.1.0"
    assert "Revor" in airflow("providers", "get", "airflow-provider-revor", "--full")


def test_airflow_finds_the_hook(airflow):
    (hook,) = (h for h in rows(airflow("providers", "hooks", "-o", "json")) if h["connection_type"] == "revor")
    assert hook["class"] == "airflow_provider_revor.hooks.revor.RevorHook"
    assert "Revor" in hook.values()
