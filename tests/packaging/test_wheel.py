"""The wheel, built, installed into a fresh environment beside the Airflow that runs this test, and seen by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import distributions

import pytest
from project import EXAMPLES, ROOT

from airflow_provider_revor import __version__
from airflow_provider_revor.version_compat import ASSET_WATCHERS, RETRY_POLICIES

pytestmark = pytest.mark.wheel


def run(*command, **kwargs):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **kwargs).stdout


class Environment:
    """An environment beside the one that runs this test, with the same versions of everything but the wheel."""

    def __init__(self, folder):
        self.folder = folder
        self.venv = folder / "venv"
        self.constraints = folder / "constraints.txt"
        # The same versions as here, so that each Airflow of the matrix is seen with what fits it.
        pins = {d.name: d.version for d in distributions() if d.name != "airflow-provider-revor"}
        self.constraints.write_text("\n".join(f"{name}=={version}" for name, version in pins.items()))
        run(sys.executable, "-m", "uv", "venv", "--python", sys.executable, self.venv)

    def install(self, *what):
        uv = (sys.executable, "-m", "uv", "pip", "install", "--python", self.venv)
        run(*uv, "--constraints", self.constraints, *what)

    def run(self, program, *words):
        env = {**os.environ, "AIRFLOW_HOME": str(self.folder / "home")}
        return run(self.venv / "bin" / program, *words, env=env, cwd=self.folder)


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory):
    """An environment that has the wheel alone."""
    environment = Environment(tmp_path_factory.mktemp("fresh"))
    environment.install(wheel)
    return environment


@pytest.fixture(scope="module")
def airflow(fresh):
    """Return a function that runs ``airflow …`` there."""
    return lambda *words: fresh.run("airflow", *words)


def rows(output):
    # Airflow 3.0 logs to the same stream.
    (table,) = (line for line in output.splitlines() if line.startswith("[{"))
    return json.loads(table)


def test_it_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"airflow_provider_revor"}
    assert "airflow_provider_revor/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_examples_in_it_are_those_that_users_see(wheel):
    archive = zipfile.ZipFile(wheel)
    folder = "airflow_provider_revor/example_dags/"
    held = {name.removeprefix(folder): archive.read(name) for name in archive.namelist() if name.startswith(folder)}
    # With the list of leads that one of them reads.
    assert held == {path.name: path.read_bytes() for path in (*EXAMPLES, EXAMPLES[0].with_name("leads.csv"))}


def test_airflow_lists_the_provider(airflow):
    (provider,) = (
        p for p in rows(airflow("providers", "list", "-o", "json")) if p["package_name"] == "airflow-provider-revor"
    )
    assert provider["version"] == __version__
    assert "Revor" in airflow("providers", "get", "airflow-provider-revor", "--full")


def test_airflow_finds_the_hook(airflow):
    (hook,) = (h for h in rows(airflow("providers", "hooks", "-o", "json")) if h["connection_type"] == "revor")
    assert hook["class"] == "airflow_provider_revor.hooks.revor.RevorHook"
    assert "Revor" in hook.values()


# Imported by name: examples are in a folder without an __init__.py, which a walk through packages does not enter.
IMPORT_EACH = """
import importlib, json, pathlib, sys
import airflow_provider_revor as package
root = pathlib.Path(package.__file__).parent
failed = {}
for path in sorted(root.rglob("*.py")):
    name = ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps([str(root), failed]))
"""


def test_every_module_imports_from_the_installed_wheel(fresh, wheel):
    # The last test there: from here on it has the extra, too. pytest is the host of the plugin.
    fresh.install(f"{wheel}[sandbox]", "pytest")
    root, failed = json.loads(fresh.run("python", "-c", IMPORT_EACH).splitlines()[-1])
    assert root.startswith(str(fresh.venv))
    # What an older Airflow does not have: `airflow.sdk` and the server of the page come with 3.0.
    of_airflow_3 = (
        "example_dags.example_on_account_ready",
        "example_dags.example_everyday_outreach",
        "ui.app",
        "ui.records",
    )
    needs_more = {"retry_policy": RETRY_POLICIES, **dict.fromkeys(of_airflow_3, ASSET_WATCHERS)}
    expected = {f"airflow_provider_revor.{name}" for name, there in needs_more.items() if not there}
    # From 3.1 on, if Airflow's own provider is new enough.
    assert set(failed) - {"airflow_provider_revor.example_dags.example_outreach_with_approval"} == expected, failed


def test_the_version_is_in_one_place():
    text = (ROOT / "pyproject.toml").read_text()
    assert f'"{__version__}"' not in text
    assert 'dynamic = ["readme", "version"]' in text
