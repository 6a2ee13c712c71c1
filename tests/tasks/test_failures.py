"""What the log of a task that fails by an error of ours shows: the reason, the remedy, and a short traceback."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from itertools import groupby

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, BaseSensorOperator
from both_ways import both
from factories import item, job, listing, refusal, resource
from outreach_tasks import context, dispatch
from requests_mock import ANY

from airflow_provider_revor.exceptions import RevorAuthenticationError, RevorConnectionError, RevorError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.cancel import CancelOutreachJobOperator
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.summary import OutreachSummaryOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor
from airflow_provider_revor.version_compat import ASSET_WATCHERS

API = "https://revor.ai/api/v1"
KEY_IS_BAD = [
    "The API key is not valid on connection 'revor_default'.",
    "Put a valid one into the password of connection 'revor_default'; keys are made at https://revor.ai/my-api-keys.",
]
MESSAGE = {
    "account_id": "acc_email",
    "channel": "email",
    "recipient": {"address": "dana@example.com"},
    "content": {"subject": "Hello", "text": "A secret"},
}


class Overridden(ListConnectAccountsOperator):
    """A class of the Dag author's: it enters twice."""

    def execute(self, context):
        return super().execute(context)


def in_context():
    """The context of a first try, in any mode."""
    of_a_task = context(map_index=-1)
    of_a_task["ti"].get_first_reschedule_date = lambda _: None
    return of_a_task


def gate(**kwargs):
    return SendableAccountSensor(task_id="t", **{"deferrable": False, **kwargs})


TASKS = {
    "list": lambda: ListConnectAccountsOperator(task_id="t"),
    "subclass": lambda: Overridden(task_id="t"),
    "gate, poke": gate,
    "gate, reschedule": lambda: gate(mode="reschedule"),
    "gate, deferrable": lambda: gate(deferrable=True),
    "job": lambda: OutreachJobSensor(task_id="t", job_id="job_1", deferrable=False),
    "dispatch": dispatch,
    "batch": lambda: OutreachBatchOperator(task_id="t", messages=[MESSAGE]),
    "cancel": lambda: CancelOutreachJobOperator(task_id="t", job_id="job_1"),
}


@pytest.fixture
def errors(caplog, monkeypatch):
    """Return a function that returns a task's lines at ERROR."""

    def of(task):
        monkeypatch.setattr(type(task), "log", logging.getLogger("operator"))
        caplog.set_level(logging.INFO, "operator")
        return lambda: [r.getMessage() for r in caplog.records if (r.name, r.levelno) == ("operator", logging.ERROR)]

    return of


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_the_reason_and_the_remedy_are_the_last_lines_each_once(
    connect, requests_mock, errors, caplog, monkeypatch, make
):
    connect(extra={"api_version": "v2"})
    monkeypatch.setattr(sys.modules[BaseSensorOperator.__module__], "_orig_start_date", lambda **_: None, raising=False)
    requests_mock.register_uri(ANY, ANY, status_code=401, json=refusal("api_key_invalid"))
    task = make()
    lines = errors(task)
    with pytest.raises(RevorAuthenticationError) as caught:
        task.execute(in_context())
    assert lines() == KEY_IS_BAD
    assert caplog.messages[-2:] == KEY_IS_BAD
    assert str(caught.value).startswith(" ".join(KEY_IS_BAD))
    assert str(caught.value).endswith("401 api_key_invalid, request_id req_refused]")
    assert "canary" not in caplog.text


def event(error):
    return {"event": {"status": "error", "error": error.as_dict(), "job_id": "job_1"}}


@pytest.mark.parametrize(
    "make",
    [gate, TASKS["job"], lambda: dispatch(deferrable=True)],
    ids=["gate", "job", "dispatch"],
)
def test_a_task_that_resumes_after_a_trigger_says_the_same(errors, make):
    task = make()
    lines = errors(task)
    error = RevorAuthenticationError.of(*KEY_IS_BAD, "GET /x: 401 api_key_invalid, request_id req_1")
    with pytest.raises(RevorAuthenticationError):
        task.resume_execution("execute_complete", event(error), context())
    assert lines() == KEY_IS_BAD


def test_a_retry_of_a_task_object_says_it_again(connect, requests_mock, errors):
    connect()
    requests_mock.get(f"{API}/connect/accounts", status_code=401, json=refusal("api_key_invalid"))
    task = ListConnectAccountsOperator(task_id="t")
    lines = errors(task)
    for _ in range(2):
        with pytest.raises(RevorAuthenticationError):
            task.execute({})
    assert lines() == KEY_IS_BAD * 2


def test_a_task_that_is_skipped_instead_has_not_failed(connect, requests_mock, errors):
    connect()
    requests_mock.get(f"{API}/connect/accounts", status_code=401, json=refusal("api_key_invalid"))
    task = gate(soft_fail=True)
    lines = errors(task)
    with pytest.raises(AirflowSkipException):
        task.execute({})
    with pytest.raises(AirflowSkipException):
        task.resume_execution("execute_complete", event(RevorAuthenticationError("x")), {})
    assert lines() == []


def test_a_task_that_succeeds_logs_no_error(connect, requests_mock, errors):
    connect()
    requests_mock.get(f"{API}/connect/accounts", json=listing(item()))
    task = ListConnectAccountsOperator(task_id="t")
    lines = errors(task)
    assert task.execute({}) == [item()]
    assert lines() == []


def test_an_error_of_someone_else_is_left_to_airflow(errors, monkeypatch):
    def broken(self, **_):
        raise KeyError("not ours")

    monkeypatch.setattr(RevorHook, "list_connect_accounts", broken)
    task = ListConnectAccountsOperator(task_id="t")
    lines = errors(task)
    with pytest.raises(KeyError):
        task.execute({})
    assert lines() == []


FAILURES = {
    "no connection": lambda: RevorHook("nowhere").list_connect_accounts(),
    "a job that failed": lambda: OutreachJobSensor(task_id="t", job_id="job_1", deferrable=False).execute({}),
    "a verdict": lambda: OutreachSummaryOperator(task_id="t", jobs=[job(status="failed")]).execute(context()),
    "v1 cannot cancel": lambda: RevorHook().cancel_outreach_job("job_1"),
    "a job that was not cancelled": lambda: CancelOutreachJobOperator(
        task_id="t", job_id="job_1", must_cancel=True, revor_conn_id="v2"
    ).execute({}),
}


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_each_error_keeps_its_reason_and_its_remedy_apart(airflow_db, connect, requests_mock, fail):
    connect()
    connect("v2", extra={"api_version": "v2"})
    failed = resource(job(status="failed", result=None, error={"code": "odd", "message": "Odd."}))
    requests_mock.get(f"{API}/outreach/jobs/job_1", json=failed)
    requests_mock.get("https://revor.ai/api/v2/jobs/job_1", json=failed)
    requests_mock.post("https://revor.ai/api/v2/jobs/job_1/cancel", json=failed)
    with pytest.raises(RevorError) as caught:
        fail()
    error = caught.value
    assert error.reason
    assert error.advice
    assert str(error).startswith(f"{error.reason} {error.advice}")
    assert "\n" not in error.reason + error.advice


@both
def test_the_traceback_has_no_frames_of_the_libraries_that_retry(connect, ask):
    connect(host="http://127.0.0.1:1")
    with pytest.raises(RevorConnectionError) as caught:
        ask()
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not [file for file in files if "tenacity" in file or "futures" in file or "asgiref" in file]
    # Where it was called, and where it was raised, are still there.
    assert files[0] == __file__
    assert "airflow_provider_revor/hooks/" in files[-1]


@both
def test_nor_where_the_connection_cannot_be_used(connect, ask):
    connect(password="")
    with pytest.raises(RevorError) as caught:
        ask()
    modules = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert not [name for name in modules if name.startswith(("tenacity", "asgiref", "concurrent"))]


def test_an_error_that_several_triggers_share_keeps_a_short_traceback(connect):
    connect(password="")

    async def look(hook):
        for _ in range(3):
            with pytest.raises(RevorError) as caught:
                await hook.alist_connect_accounts()
        return caught.value

    error = asyncio.run(look(RevorHook(max_retries=0)))
    assert len(traceback.extract_tb(error.__traceback__)) < 15


DAG_FILE = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG("it_fails", schedule=None) as the_dag:
    ListConnectAccountsOperator(task_id="list")
    SendableAccountSensor(task_id="gate", deferrable=True)
"""


@pytest.mark.skipif(not ASSET_WATCHERS, reason="Airflow 2 prints each line of a log twice")
def test_a_failed_tasks_log_in_airflow(dag_file, connect, revor_sandbox, capfd):
    connect(host=revor_sandbox.url, password="sk-revor-wrong-key")
    dag_file("it_fails", DAG_FILE).the_dag.test()
    out = "".join(capfd.readouterr())
    lines = out.splitlines()
    # What a traceback says does not count; and some Airflows print a line twice.
    told = [next((words for words in KEY_IS_BAD if words in line and "Error" not in line), line) for line in lines]
    once = [line for line, _ in groupby(told)]
    reasons = [n for n, line in enumerate(once) if line == KEY_IS_BAD[0]]
    assert len(reasons) == 2
    for number in reasons:
        assert once[number + 1] == KEY_IS_BAD[1]
        assert "Traceback" in "".join(once[number + 2 : number + 5])
    assert "tenacity/" not in out
    assert "futures/" not in out
    # At DEBUG, Airflow 3.0 logs its own request to mask the key.
    assert "sk-revor-wrong-key" not in "".join(line for line in lines if "MaskSecret" not in line)
