"""A person ends a task that waits: its jobs are cancelled, and a clear sends again. Nothing else cancels a job."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
from outreach_tasks import Store, both, context, dispatch, keys
from revor_model import Crash

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.triggers import cancelling
from airflow_provider_revor.triggers.xcoms import TaskXComs

REAL_SLEEP = time.sleep
PEOPLE = [f"person{number}@example.com" for number in range(3)]


@pytest.fixture
def revor(revor_sandbox, connect):
    """A Revor whose jobs begin in an hour."""
    channels = ("email", "linkedin")
    revor_sandbox.set_accounts([{"account_id": f"acc_{name}", "channel": name} for name in channels])
    revor_sandbox.script_jobs(scheduled_in=3_600, times=None)
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key, extra={"api_version": "v2"})
    return revor_sandbox


@pytest.fixture
def airflow(monkeypatch):
    """Airflow, as far as it tells in which state the task is."""
    airflow = SimpleNamespace(state="running")

    def task_state(**ids):
        if isinstance(airflow.state, Exception):
            raise airflow.state
        return airflow.state

    monkeypatch.setattr(cancelling, "task_state", task_state)
    return airflow


@pytest.fixture
def kill(airflow, monkeypatch):
    """Return a function that runs a task until it waits, and then ends it as Airflow does."""

    def kill(task, context, state):
        def sleep(seconds):
            airflow.state = state
            task.on_kill()
            raise Crash

        monkeypatch.setattr(time, "sleep", sleep)
        with pytest.raises(Crash):
            task.execute(context)
        monkeypatch.setattr(time, "sleep", REAL_SLEEP)

    return kill


def task(**kwargs):
    return dispatch(cancel_on_kill=True, **kwargs)


def batch(**kwargs):
    messages = [
        {
            "account_id": "acc_email",
            "channel": "email",
            "recipient": {"address": address},
            "content": {"subject": "Hello", "text": "Hello"},
        }
        for address in PEOPLE
    ]
    return OutreachBatchOperator(task_id="send", messages=messages, **{"cancel_on_kill": True, **kwargs})


def statuses(revor):
    return [job["status"] for job in revor.jobs]


def run(task, context):
    """Run a task until it defers or waits; return nothing."""
    from airflow.providers.common.compat.sdk import TaskDeferred

    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    return deferred.value.trigger


# -- v1 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [task, batch])
def test_v1_is_refused_before_anything_is_sent(revor, connect, make):
    connect(host=revor.url, password=revor.api_key)
    with pytest.raises(e.RevorConfigurationError, match=r"version v1 .* cannot cancel\. Set its extra `api_version`"):
        make().execute(context())
    assert revor.request_count == 0


# -- on a worker -----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("state", ["failed", "restarting"])
def test_a_person_who_ends_a_task_on_a_worker_cancels_its_job(revor, kill, make, state):
    kill(make(cancel_on_kill=True), context(), state)
    assert statuses(revor) == ["cancelled"]


@pytest.mark.parametrize(
    "state", ["running", "success", "skipped", "up_for_retry", "removed", RuntimeError("no API server")]
)
def test_whatever_else_ends_the_process_leaves_the_job_alone(revor, kill, caplog, state):
    kill(task(), context(), state)
    assert statuses(revor) == ["scheduled"]
    assert not [record for record in revor.requests if record.path.endswith("/cancel")]


def test_without_the_argument_the_job_goes_on(revor, kill):
    kill(dispatch(), context(), "failed")
    assert statuses(revor) == ["scheduled"]


def test_a_job_that_runs_is_left_to_run(revor, kill):
    revor.script_jobs(after=None)
    kill(task(), context(), "failed")
    assert statuses(revor) == ["running"]


def test_a_kill_ends_in_time_though_airflow_does_not_answer(revor, kill, monkeypatch):
    monkeypatch.setattr("airflow_provider_revor.operators.killing.worker_kill_grace", lambda: 0.5)
    over, answers = threading.Event(), []
    monkeypatch.setattr(cancelling, "task_state", lambda **ids: answers.append(over.wait(60)))
    kill(task(), context(), "failed")
    assert answers == []
    over.set()
    assert statuses(revor) == ["scheduled"]


# -- and then --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled-in-time", "not-reached-in-time"])
def test_a_task_that_was_cleared_while_deferred_sends_again_and_one_message_is_left(revor, airflow, cancelled):
    store = Store()
    run(task(deferrable=True), context(store=store, clears=0))
    if cancelled:
        RevorHook().cancel_outreach_job(revor.jobs[0]["id"])
    run(task(deferrable=True), context(2, store=store, clears=1))
    assert statuses(revor) == ["cancelled", "scheduled"]
    assert len(revor.outbox) == 1


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled-in-time", "not-reached-in-time"])
def test_a_task_that_was_cleared_while_it_ran_sends_again_though_airflow_counts_a_retry(revor, kill, cancelled):
    store = Store()
    kill(task(), retry(1, store, clears=0), "restarting" if cancelled else "running")
    run(task(deferrable=True), retry(2, store, clears=1))
    assert statuses(revor) == ["cancelled", "scheduled"]
    assert len(revor.outbox) == 1


def test_a_cleared_task_sends_again_though_its_process_still_saw_the_cancelled_job(revor, airflow, monkeypatch):
    store, killed = Store(), task()

    def sleep(seconds):
        airflow.state = "restarting"
        killed.on_kill()

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", sleep)
        with pytest.raises(e.RevorJobFailedError, match="was cancelled"):
            killed.execute(retry(1, store, clears=0))
    run(task(deferrable=True), retry(2, store, clears=1))
    assert statuses(revor) == ["cancelled", "scheduled"]


def retry(try_number, store, clears):
    return context(try_number, store=store, clears=clears, max_tries=3)


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_cleared_task_goes_on_with_a_job_whose_cancel_revor_rejects(revor, airflow, status):
    store = Store()
    run(task(deferrable=True), context(store=store, clears=0))
    revor.fail(status, code="some_code", message="Not today.", method="POST")
    run(task(deferrable=True), context(2, store=store, clears=1))
    assert statuses(revor) == ["scheduled"]
    assert [record.status for record in revor.requests if record.path.endswith("/cancel")] == [status]


def test_an_automatic_retry_after_a_cancel_does_not_send(revor, kill):
    store = Store()
    kill(task(), retry(1, store, clears=0), "running")
    RevorHook().cancel_outreach_job(revor.jobs[0]["id"])
    with pytest.raises(e.RevorJobFailedError):
        task().execute(retry(2, store, clears=0))
    assert len(keys(revor)) == 2  # the message's and the cancel's


def test_an_automatic_retry_after_a_crash_finds_its_job(revor, kill):
    store = Store()
    kill(task(), retry(1, store, clears=0), "running")
    run(task(deferrable=True), retry(2, store, clears=0))
    assert statuses(revor) == ["scheduled"]


def test_a_clear_after_the_task_has_ended_by_itself_cancels_nothing(revor):
    store = Store()
    with pytest.raises(e.RevorJobTimeoutError):
        task(timeout=0).execute(context(store=store, clears=0))
    run(task(deferrable=True), context(2, store=store, clears=1))
    # The same, but the time is up while it is deferred.
    event = {"status": "timeout", "job_id": revor.jobs[0]["id"]}
    with pytest.raises(e.RevorJobTimeoutError):
        task(deferrable=True).execute_complete(context(2, store=store, clears=1), event)
    run(task(deferrable=True), context(3, store=store, clears=2))
    assert statuses(revor) == ["scheduled"]


def test_a_clear_of_a_task_that_does_not_wait_cancels_nothing(revor):
    store = Store()
    task(wait_for_completion=False).execute(context(store=store, clears=0))
    task(wait_for_completion=False).execute(context(2, store=store, clears=1))
    assert statuses(revor) == ["scheduled"]


def test_a_task_that_no_longer_cancels_keeps_its_job(revor):
    store = Store()
    run(task(deferrable=True), context(store=store, clears=0))
    run(dispatch(deferrable=True), context(2, store=store, clears=1))
    assert statuses(revor) == ["scheduled"]


# -- a batch ---------------------------------------------------------------------------------------------


@pytest.fixture
def xcoms(monkeypatch):
    values = {}
    monkeypatch.setattr(TaskXComs, "get", lambda self, key: values.get(key))
    return values


def test_a_batch_that_is_killed_cancels_what_it_sent_and_sends_no_more(revor, airflow, monkeypatch):
    operator = batch()
    operator.messages.append({**operator.messages[0], "recipient": {"address": "last@example.com"}})
    create = RevorHook.create_outreach_dispatch

    def dispatch_two(hook, *args, **kwargs):
        if len(revor.jobs) == 2:
            airflow.state = "failed"
            operator.on_kill()
        return create(hook, *args, **kwargs)

    monkeypatch.setattr(RevorHook, "create_outreach_dispatch", dispatch_two)
    with pytest.raises(e.RevorError, match="A person has ended the task"):
        operator.execute(context())
    # The one that was on its way is sent, and those after it are not.
    assert statuses(revor) == ["cancelled", "cancelled", "scheduled"]


@pytest.mark.parametrize("reached", [0, 1, 3])
def test_a_batch_that_was_cleared_sends_again_to_everyone_whose_job_had_not_begun(revor, airflow, xcoms, reached):
    store = Store()
    run(batch(), context(pushed=xcoms, store=store, clears=0))
    for job in revor.jobs[:reached]:
        RevorHook().cancel_outreach_job(job["id"])
    run(batch(), context(2, pushed=xcoms, store=store, clears=1))
    assert statuses(revor) == ["cancelled"] * 3 + ["scheduled"] * 3
    assert sorted(entry.recipient["address"] for entry in revor.outbox) == PEOPLE


def test_a_clear_after_the_batch_has_ended_by_itself_cancels_nothing(revor, airflow, xcoms):
    store = Store()
    run(batch(), context(pushed=xcoms, store=store, clears=0))
    with pytest.raises(e.RevorJobTimeoutError):
        batch().execute_complete(context(pushed=xcoms, store=store, clears=0), {"status": "timeout", "ends": []})
    run(batch(), context(2, pushed=xcoms, store=store, clears=1))
    assert statuses(revor) == ["scheduled"] * 3


def test_a_batch_retry_after_a_crash_cancels_nothing(revor, airflow, xcoms):
    store = Store()
    run(batch(), context(pushed=xcoms, store=store, clears=0, max_tries=3))
    run(batch(), context(2, pushed=xcoms, store=store, clears=0, max_tries=3))
    assert statuses(revor) == ["scheduled"] * 3


def test_a_clear_after_a_try_that_failed_by_itself_cancels_nothing(revor, airflow, xcoms):
    """One that failed while it sent, that is."""
    one, many = Store(), Store()
    revor.fail(403, code="permission_denied", method="GET")
    with pytest.raises(e.RevorPermissionError):
        task().execute(context(store=one, clears=0))
    run(task(deferrable=True), context(2, store=one, clears=1))
    assert statuses(revor) == ["scheduled"]

    revor.reset_jobs()
    revor.script_jobs(scheduled_in=3_600, times=None)
    with pytest.MonkeyPatch.context() as patch:
        sent_two(patch, revor)
        with pytest.raises(e.RevorPermissionError):
            batch().execute(context(pushed=xcoms, store=many, clears=0))
    run(batch(), context(2, pushed=xcoms, store=many, clears=1))
    assert statuses(revor) == ["scheduled"] * 3


@pytest.mark.parametrize("cut_short", [True, False])
def test_nor_does_one_after_a_batch_whose_xcoms_airflow_did_not_take(revor, airflow, xcoms, cut_short):
    store = Store()
    broken = context(store=store, clears=0)
    broken["ti"].xcom_push = lambda key, value: (_ for _ in ()).throw(OSError("The API server is away."))
    with pytest.MonkeyPatch.context() as patch:
        if cut_short:
            sent_two(patch, revor)
        with pytest.raises(OSError, match="API server"):
            batch().execute(broken)
    run(batch(), context(2, pushed=xcoms, store=store, clears=1))
    assert statuses(revor) == ["scheduled"] * 3


def sent_two(patch, revor):
    create = RevorHook.create_outreach_dispatch

    def dispatch(hook, *args, **kwargs):
        if len(revor.jobs) == 2:
            raise e.RevorPermissionError("no more")
        return create(hook, *args, **kwargs)

    patch.setattr(RevorHook, "create_outreach_dispatch", dispatch)
