"""The README shows the example Dags as they are, and what else it shows works."""

from __future__ import annotations

import re

import pytest
from project import EXAMPLES, ROOT

from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.version_compat import RETRY_POLICIES

README = (ROOT / "README.md").read_text()
SHOWN = dict(re.findall(r"<!-- (example_dags/\w+\.py) -->\n```python\n(.*?)```\n", README, re.DOTALL))
SNIPPETS = re.findall(r"(?<!-->\n)```python\n(.*?)```\n", README, re.DOTALL)


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in EXAMPLES])
def test_an_example_is_shown_as_it_is(path):
    assert SHOWN[path] == (ROOT / path).read_text()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_target_that_it_names_is_there(name):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", (ROOT / name).read_text())) <= targets


def test_the_use_of_the_hook_works(revor_sandbox):
    (snippet,) = (code for code in SNIPPETS if "get_outreach_job" in code)
    revor_sandbox.answer(200, {"ok": True, "items": []})
    item = {"id": "job_123", "status": "running"}
    revor_sandbox.answer(200, {"ok": True, "item": item}, times=2)
    names: dict = {}
    exec(snippet, names)
    assert (names["accounts"], names["job"], names["same"]) == ([], OutreachJob("job_123", "running"), item)


@pytest.mark.skipif(not RETRY_POLICIES, reason="retry policies are of Airflow 3.3+")
def test_the_task_with_the_retry_policy_is_one():
    (snippet,) = (code for code in SNIPPETS if "RevorRetryPolicy" in code)
    names: dict = {}
    exec(snippet, names)
    assert names["count_accounts"].kwargs["retry_policy"] == names["RevorRetryPolicy"]()


MY_DAGS = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG("outreach", schedule=None) as outreach:
    SendableAccountSensor(task_id="gate", channel="email", poke_interval=1, deferrable=True)
"""


def test_the_test_with_the_fixture_works(dag_file, revor_sandbox):
    (snippet,) = (code for code in SNIPPETS if "revor_sandbox" in code)
    dag_file("my_dags", MY_DAGS)
    names: dict = {}
    exec(snippet, names)
    names["test_the_gate_waits_for_a_person"](revor_sandbox)


@pytest.mark.parametrize(
    "name",
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/benchmarks.md", "docs/faults.md"],
)
def test_what_is_linked_is_there(name):
    page = ROOT / name
    for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / link).exists(), link
