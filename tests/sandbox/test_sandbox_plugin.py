"""The pytest plugin, in sessions of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLUGIN = "airflow_provider_revor.sandbox.pytest_plugin"


@pytest.fixture
def run(pytester, monkeypatch):
    # Autoload would register the plugin a second time where the provider is installed.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("AIRFLOW_CONN_REVOR_DEFAULT", raising=False)

    def run_tests(code):
        pytester.makepyfile(code)
        return pytester.runpytest_subprocess("-p", PLUGIN, "-p", "no:cacheprovider", "-W", "error")

    return run_tests


def test_the_fixture_runs_a_sandbox_for_one_test(run):
    result = run(
        """
        import json, os, threading, urllib.request

        def threads():
            return [thread.name for thread in threading.enumerate() if "sandbox" in thread.name]

        def test_first(revor_sandbox):
            connection = json.loads(os.environ["AIRFLOW_CONN_REVOR_DEFAULT"])
            assert connection == revor_sandbox.connection
            request = urllib.request.Request(
                connection["host"] + "/api/v1/connect/accounts", headers={"x-api-key": connection["password"]}
            )
            with urllib.request.urlopen(request) as response:
                assert json.load(response)["items"] == revor_sandbox.accounts
            assert revor_sandbox.request_count == 1
            revor_sandbox.set_accounts([])

        def test_between():
            assert "AIRFLOW_CONN_REVOR_DEFAULT" not in os.environ
            assert not threads()

        def test_second(revor_sandbox):
            assert revor_sandbox.request_count == 0
            assert revor_sandbox.accounts
        """
    )
    result.assert_outcomes(passed=3)


def test_without_the_extra_it_says_what_to_install(run):
    result = run(
        """
        import sys

        def test_sandbox(request, monkeypatch):
            monkeypatch.setitem(sys.modules, "uvicorn", None)
            request.getfixturevalue("revor_sandbox")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pip install 'airflow-provider-revor[[]sandbox]'*"])


@pytest.mark.parametrize("plugin", [PLUGIN, "airflow_provider_revor.testing"])
def test_the_plugin_is_light(plugin):
    script = (
        f"import sys, {plugin}; "
        "print({'fastapi', 'uvicorn', 'pydantic', 'starlette', 'requests', 'httpx', 'airflow', 'asyncio'} "
        "& set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
