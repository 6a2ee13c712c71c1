"""A user's first test passes in a fresh project, with what the guide "Test with the sandbox" says and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from project import ROOT

from airflow_provider_revor.version_compat import ASSET_WATCHERS

SNIPPETS = ROOT / "docs/snippets"
GUIDE = {name: (SNIPPETS / name).read_text() for name in ("pytest.ini", "my_dags.py", "test_my_dags.py")}
WATCHER = {"test_my_watcher.py": (SNIPPETS / "test_my_watcher.py").read_text()} if ASSET_WATCHERS else {}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs pytest in a project of these files, in a shell that has an Airflow of its own."""

    def run_pytest(files: dict[str, str]) -> tuple[dict[str, str], str]:
        folder = tmp_path_factory.mktemp("project")
        for name, text in files.items():
            (folder / name).write_text(text)
        (temporary := folder / "temporary").mkdir()
        env = {
            **os.environ,
            "AIRFLOW_HOME": str(folder / "precious"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://precious.invalid/airflow",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(temporary),
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        assert not (folder / "precious").exists()
        assert [path.name for path in temporary.glob("revor-airflow-*")] == []
        output = done.stdout + done.stderr
        found = re.findall(r"^(PASSED|FAILED|ERROR) \S+::(\w+)", output, re.MULTILINE)
        return {test: outcome for outcome, test in found}, output

    return run_pytest


AGAIN = """
import os
import re
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator

def dag_of(task_id):
    with DAG("same_id", schedule=None) as dag:
        ListConnectAccountsOperator(task_id=task_id)
    return dag

def test_a_dag_runs_twice(revor_sandbox, revor_run_dag):
    dag = dag_of("first")
    assert [revor_run_dag(dag).state for _ in range(2)] == ["success", "success"]
    assert revor_sandbox.request_count == 2

def test_another_dag_may_have_its_id(revor_sandbox, revor_run_dag):
    run = revor_run_dag(dag_of("second"), run_conf={"some": "conf"})
    assert (run.state, run.conf) == ("success", {"some": "conf"})
    assert [ti.task_id for ti in run.get_task_instances()] == ["second"]

def test_a_dag_that_fails_says_so(revor_sandbox, revor_run_dag):
    revor_sandbox.revoke_key()
    assert revor_run_dag(dag_of("third")).state == "failed"
"""


WATCHES = """
import pytest
from airflow_provider_revor.triggers.connect import SendableAccountEventTrigger

def test_the_first_look_is_no_event_and_nothing_is_lost(revor_sandbox, revor_watch):
    watcher = revor_watch(SendableAccountEventTrigger(channel="email", poke_interval=1))
    with pytest.raises(TimeoutError):
        watcher.next_event(timeout=0.1)
    for change in ("reconnect", "block", "reconnect"):
        getattr(revor_sandbox, change)("acc_email_anna")
        if change == "reconnect":
            assert watcher.next_event()["account_id"] == "acc_email_anna"
        else:
            with pytest.raises(TimeoutError):
                watcher.next_event(timeout=2)

def test_two_watchers(revor_sandbox, revor_watch):
    ready = revor_watch(SendableAccountEventTrigger(poke_interval=1))
    blocked = revor_watch(SendableAccountEventTrigger(becomes="blocked", poke_interval=2))
    revor_sandbox.reconnect("acc_email_anna")
    assert ready.next_event()["status"] == "ok"
    revor_sandbox.wait_for_requests(3)
    blocked.run_until(lambda: revor_sandbox.request_count >= 5)
    revor_sandbox.block("acc_email_anna")
    assert blocked.next_event()["blocked_reason"]
"""


@pytest.fixture(scope="module")
def results(run):
    """What became of the guide's tests and of those above, which share a session and so a database."""
    watches = {"test_watches.py": WATCHES} if ASSET_WATCHERS else {}
    return run({**GUIDE, **WATCHER, **watches, "test_again.py": AGAIN})


@pytest.mark.parametrize(
    "test", ["test_the_message_is_sent_once_an_account_can_send", "test_nothing_is_sent_without_a_valid_key"]
)
def test_the_guides_first_tests_pass(results, test):
    found, output = results
    assert found[test] == "PASSED", output


@pytest.mark.parametrize(
    "test", ["test_a_dag_runs_twice", "test_another_dag_may_have_its_id", "test_a_dag_that_fails_says_so"]
)
def test_any_dag_runs_wherever_it_was_made(results, test):
    found, output = results
    assert found[test] == "PASSED", output


@pytest.mark.skipif(not ASSET_WATCHERS, reason="asset watchers are of Airflow 3.0+")
@pytest.mark.parametrize(
    "test",
    [
        "test_the_watcher_notices_a_blocked_account",
        "test_the_first_look_is_no_event_and_nothing_is_lost",
        "test_two_watchers",
    ],
)
def test_a_watcher_is_played_event_by_event(results, test):
    found, output = results
    assert found[test] == "PASSED", output


def test_without_the_line_of_configuration_it_says_what_is_missing(run):
    code = (
        "import os\n"
        "def test_home():\n    assert os.environ['AIRFLOW_HOME'].endswith('precious')\n"
        "def test_dag(revor_run_dag):\n    pass\n"
    )
    found, output = run({"pytest.ini": "[pytest]\n", "test_it.py": code})
    assert found == {"test_home": "PASSED", "test_dag": "ERROR"}
    assert "set `revor_airflow = true` in the pytest configuration" in output
