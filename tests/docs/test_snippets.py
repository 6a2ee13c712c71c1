"""The snippets of the documentation, run as a reader would run them: in real Airflow, against the sandbox."""

from __future__ import annotations

import importlib.util
import json

import pytest
from docs.pages import DOCS, SNIPPETS

from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.sandbox.__main__ import _read_accounts
from airflow_provider_revor.selection import pick_account
from airflow_provider_revor.version_compat import RETRY_POLICIES

FOLDER = DOCS / "snippets"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def snippet(dag_file, revor_sandbox):
    """Return a function that puts a snippet into the Dags folder and returns its Dag."""
    revor_sandbox.set_accounts([{"account_id": f"acc_{n}", "channel": "email"} for n in (1, 2)])

    def dag_of(name):
        module = dag_file(name, (FOLDER / f"{name}.py").read_text())
        return module.dag if not callable(getattr(module, name, None)) else getattr(module, name)()

    return dag_of


def quickly(dag):
    """Have every wait look again soon."""
    for task in dag.tasks:
        for holder in (vars(task), getattr(task, "partial_kwargs", {})):
            if "poke_interval" in holder:
                holder["poke_interval"] = 0.1
    return dag


def run(dag):
    dag_run = dag.test()
    return str(dag_run.state), {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}


def test_the_sticky_gate_hands_on_the_account_of_the_lead(snippet, revor_sandbox):
    dag = snippet("sticky_gate")
    dag_run = dag.test()
    (gate,) = dag_run.get_task_instances()
    account = pick_account(revor_sandbox.accounts, "sticky", key=7)
    assert gate.xcom_pull(task_ids="gate", key="account_id") == account["account_id"]


@pytest.mark.parametrize(
    ("accounts", "states"),
    [
        pytest.param(1, {"gate": "success", "send": "success", "ask_a_person": "skipped"}, id="can-send"),
        pytest.param(0, {"gate": "skipped", "send": "skipped", "ask_a_person": "success"}, id="none-can"),
    ],
)
def test_without_an_account_the_other_branch_runs(snippet, revor_sandbox, accounts, states):
    dag = snippet("no_account")
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}] * accounts)
    dag.get_task("gate").timeout = 0
    assert run(dag) == ("success", states)


def test_mapped_jobs_are_waited_for_elsewhere(snippet, revor_sandbox):
    state, _ = run(quickly(snippet("wait_elsewhere")))
    assert state == "success"
    assert len(revor_sandbox.outbox) == 2


@pytest.mark.parametrize(("failing", "state"), [(0, "success"), (1, "failed")])
def test_the_summary_decides_on_the_run(snippet, revor_sandbox, failing, state):
    if failing:
        revor_sandbox.script_jobs("failed", times=failing)
    assert run(quickly(snippet("summary")))[0] == state


def test_the_rows_of_a_batch_can_be_mapped_over(snippet):
    dag = quickly(snippet("batch_rows"))
    dag.get_task("send").max_requests_per_minute = 6000
    assert run(dag) == ("success", {"send": "success", "rows": "success", "write_to_crm": "success"})


def test_a_key_of_ones_own_sends_once_whatever_the_run(snippet, revor_sandbox):
    dag = quickly(snippet("own_key"))
    assert [run(dag)[0] for _ in range(2)] == ["success", "success"]
    assert len(revor_sandbox.outbox) == 1


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        pytest.param({}, "success", id="none"),
        pytest.param({"code": "insufficient_credits"}, "success", id="handled"),
        pytest.param({"status": 401, "times": 9}, "failed", id="raised"),
    ],
)
def test_the_handled_errors_are_handled(snippet, revor_sandbox, fault, state):
    if fault:
        revor_sandbox.fail(fault.pop("status", None), **fault)
    assert run(snippet("handle_errors"))[0] == state


def test_a_scheduled_job_is_cancelled(snippet, revor_sandbox, monkeypatch):
    from airflow_provider_revor.hooks.revor import RevorHook

    connection = {**json.loads(revor_sandbox.connection_json), "extra": {"api_version": "v2"}}
    monkeypatch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", json.dumps(connection))
    revor_sandbox.script_jobs("scheduled")
    with RevorHook() as hook:
        job = hook.create_outreach_dispatch(
            "acc_1", "email", {"address": "ada@example.com"}, {"subject": "Hi", "text": "Hi"}, idempotency_key="key"
        )
    dag = snippet("cancel")
    assert str(dag.test(run_conf={"job_id": job.id}).state) == "success"
    assert [job["status"] for job in revor_sandbox.jobs] == ["cancelled"]


# tests/test_first_project.py runs pytest with pytest.ini, my_dags, test_my_dags and test_my_watcher.


def test_the_use_of_the_hook_works(revor_sandbox):
    revor_sandbox.answer(200, {"ok": True, "items": []})
    item = {"id": "job_123", "status": "running"}
    revor_sandbox.answer(200, {"ok": True, "item": item}, times=2)
    shown = load("use_the_hook")
    assert (shown.rows, shown.job, shown.same) == ([], OutreachJob("job_123", "running"), item)


@pytest.mark.skipif(not RETRY_POLICIES, reason="retry policies are of Airflow 3.3+")
def test_the_task_with_the_retry_policy_is_one():
    shown = load("retry_policy")
    assert shown.count_accounts.kwargs["retry_policy"] == shown.RevorRetryPolicy()


def test_the_accounts_of_the_file_are_served():
    accounts = _read_accounts(FOLDER / "accounts.json")
    assert [account["can_send"] for account in accounts] == [True, False]


def test_no_snippet_is_left_out():
    run_here = (FOLDER.parent.parent / "tests" / "docs" / "test_snippets.py").read_text()
    assert [path.name for path in SNIPPETS if path.stem not in run_here] == []
