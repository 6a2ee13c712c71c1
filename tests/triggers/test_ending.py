"""What a trigger does for a task that succeeds: it pushes the XComs and ends the task, or has a worker do so."""

from __future__ import annotations

import asyncio
import logging
import time
from types import SimpleNamespace

import pytest
from factories import account, item, job

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.links import RevorAccountsLink
from airflow_provider_revor.triggers.base import TaskWait
from airflow_provider_revor.triggers.connect import SendableAccountTrigger
from airflow_provider_revor.triggers.outreach import OutreachJobTrigger
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = pytest.mark.skipif(not START_FROM_TRIGGER, reason="tasks end in the triggerer on Airflow 3.3+")

AT = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": 3}
FAILED = job(status="failed", result=None, error={"code": "mailbox_full", "message": "Full.", "retryable": True})


@pytest.fixture(autouse=True)
def revor(monkeypatch):
    """What Revor says of the accounts and of the job."""
    # A worker deferred long ago.
    monkeypatch.setattr("airflow_provider_revor.triggers.base._SETTLING", 0.0)
    revor = SimpleNamespace(accounts=[account()], job=job())

    async def get(answer):
        # A response takes its time.
        await asyncio.sleep(0.01)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(RevorHook, "alist_connect_accounts", lambda hook, **_: get(revor.accounts))
    monkeypatch.setattr(
        RevorHook,
        "aget_outreach_job",
        lambda hook, _: get(revor.job if isinstance(revor.job, Exception) else OutreachJob(**revor.job)),
    )
    return revor


@pytest.fixture
def pushed(monkeypatch):
    """The XComs that were pushed, in order."""
    from airflow.sdk.bases.xcom import BaseXCom

    pushed = []

    async def aset(key, value, **coordinates):
        assert coordinates == AT
        pushed.append((key, value))

    monkeypatch.setattr(BaseXCom, "aset", aset)
    return pushed


def in_a_triggerer(trigger, task=None):
    trigger.trigger_id = 7
    trigger._task_instance = SimpleNamespace(**AT, **({"task": task} if task else {}))
    return trigger


def event_of(trigger):
    async def run():
        (event,) = [event async for event in trigger.run()]
        return event

    return asyncio.run(run())


def gate(**kwargs):
    return SendableAccountTrigger(**{"end_here": True, "first_poll_at": 1.0, **kwargs})


def wait(**kwargs):
    return OutreachJobTrigger(job_id="job_1", **{"end_here": True, "first_poll_at": 1.0, **kwargs})


both = pytest.mark.parametrize("make", [gate, wait])


def has_ended(event):
    from airflow.triggers.base import TaskSuccessEvent

    # Airflow would encode these twice.
    assert getattr(event, "xcoms", None) is None
    return isinstance(event, TaskSuccessEvent)


@pytest.mark.parametrize(
    ("make", "xcoms"),
    [(gate, [("account_id", "acc_1"), ("return_value", item())]), (wait, [("return_value", job())])],
)
def test_it_pushes_what_a_worker_would_and_ends_the_task(pushed, make, xcoms):
    assert has_ended(event_of(in_a_triggerer(make())))
    assert pushed == xcoms


def test_a_like_that_was_skipped_is_logged_as_such(revor, pushed, caplog, monkeypatch):
    monkeypatch.setattr(OutreachJobTrigger, "log", logging.getLogger("trigger"))
    revor.job = job(result={"status": "skipped"})
    with caplog.at_level(logging.INFO, "trigger"):
        assert has_ended(event_of(in_a_triggerer(wait())))
    assert "Outreach job job_1 was skipped: Revor found no relevant post." in caplog.messages


@both
def test_without_xcoms_it_just_ends_the_task(pushed, make):
    assert has_ended(event_of(in_a_triggerer(make(push_xcoms=False))))
    assert pushed == []


@both
def test_a_task_that_is_to_end_on_a_worker_resumes_there(pushed, make):
    event = event_of(in_a_triggerer(make(end_here=False)))
    assert not has_ended(event)
    assert event.payload["status"] == "success"
    assert pushed == []


@both
def test_without_a_triggerer_as_in_a_dags_test_it_resumes_in_process(pushed, make):
    assert event_of(make()).payload["status"] == "success"
    assert pushed == []


@both
def test_settings_that_have_changed_while_it_waited_are_heeded(monkeypatch, pushed, make):
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    assert not has_ended(event_of(in_a_triggerer(make())))
    assert pushed == []


@both
@pytest.mark.parametrize("broken", [RuntimeError("acc_1"), TimeoutError()])
def test_if_pushing_fails_a_worker_does_it(monkeypatch, caplog, make, broken):
    from airflow.sdk.bases.xcom import BaseXCom

    async def aset(*_, **__):
        raise broken

    monkeypatch.setattr(BaseXCom, "aset", aset)
    monkeypatch.setattr(TaskWait, "log", logging.getLogger("trigger"), raising=False)
    event = event_of(in_a_triggerer(make()))
    assert not has_ended(event)
    assert event.payload["status"] == "success"
    (line,) = [record.getMessage() for record in caplog.records if "here" in record.getMessage()]
    assert line == f"Could not end the task here ({type(broken).__name__}): it resumes on a worker."


@pytest.mark.parametrize(
    ("make", "answer", "status"),
    [
        pytest.param(gate, e.RevorAuthenticationError("x"), "error", id="gate-refused"),
        pytest.param(wait, e.RevorNotFoundError("x"), "error", id="job-unknown"),
        pytest.param(wait, FAILED, "failed", id="job-failed"),
        pytest.param(wait, job(status="cancelled", result=None), "failed", id="job-cancelled"),
    ],
)
def test_what_does_not_succeed_ends_on_a_worker(revor, pushed, make, answer, status):
    revor.accounts = revor.job = answer
    event = event_of(in_a_triggerer(make()))
    assert not has_ended(event)
    assert event.payload["status"] == status
    assert pushed == []


@both
def test_a_deadline_ends_on_a_worker(revor, pushed, make):
    revor.accounts, revor.job = [account(can_send=False)], job(status="running", result=None)
    event = event_of(in_a_triggerer(make(deadline=1.0)))
    assert event.payload["status"] == "timeout"
    assert pushed == []


@pytest.mark.parametrize("kwargs", [{}, {"outlets": ["asset"]}, {"on_success_callback": print}])
def test_a_gate_that_started_from_its_trigger_is_asked_itself(pushed, kwargs):
    from airflow.sdk import DAG, Asset
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_provider_revor.sensors.connect import SendableAccountSensor

    if "outlets" in kwargs:
        kwargs = {"outlets": [Asset("ready")]}
    with DAG("d", schedule=None) as dag:
        sensor = SendableAccountSensor(task_id="gate", start_from_trigger=True, **kwargs)
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("gate")
    event = event_of(in_a_triggerer(SendableAccountTrigger(**sensor.start_trigger_args.trigger_kwargs), task))
    assert has_ended(event) is (not kwargs)
    link = ("_link_RevorAccountsLink", "https://revor.ai/console/connect")
    xcoms = [("account_id", "acc_1"), ("return_value", item())]
    assert pushed == ([link] if kwargs else [link, *xcoms])


def test_links_of_gates_that_begin_together_are_stored_one_at_a_time_and_hold_up_no_poll(revor, monkeypatch):
    """The triggerer's supervisor handles one request of all its triggers per round: polls, too, are among them."""
    from airflow.sdk.bases.xcom import BaseXCom

    revor.accounts, under_way = [account(can_send=False)], []

    async def aset(key, value, **coordinates):
        under_way.append(key)
        await asyncio.Event().wait()

    monkeypatch.setattr(BaseXCom, "aset", aset)
    task = SimpleNamespace(operator_extra_links=[RevorAccountsLink()])

    async def run():
        gates = [in_a_triggerer(SendableAccountTrigger(timeout=0.5, poke_interval=1), task=task) for _ in range(20)]
        ends = [asyncio.create_task(anext(gate.run())) for gate in gates]
        return [(await end).payload for end in ends]

    payloads = asyncio.run(run())
    assert under_way == ["_link_RevorAccountsLink"]
    # Each has looked.
    assert [payload["status"] for payload in payloads] == ["timeout"] * 20
    assert all(payload["reasons"] for payload in payloads)


@both
def test_tasks_that_end_together_do_not_all_store_at_once(monkeypatch, make):
    """Responses to more of them than fit into the supervisor's socket would keep it from reading log lines."""
    from airflow.sdk.bases.xcom import BaseXCom

    monkeypatch.setattr("airflow_provider_revor.triggers.base._MOST_STORING", 3)
    under_way, most = 0, 0

    async def aset(key, value, **coordinates):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1

    monkeypatch.setattr(BaseXCom, "aset", aset)

    async def run():
        ends = [asyncio.create_task(anext(in_a_triggerer(make()).run())) for _ in range(10)]
        return [await end for end in ends]

    assert all(map(has_ended, asyncio.run(run())))
    assert most == 3


@both
def test_what_it_logs_is_written_before_it_ends(monkeypatch, pushed, make):
    """When a trigger has ended, Airflow closes its log."""
    written = []

    class SlowLog:
        def info(self, *line):
            time.sleep(0.1)
            written.append(line[0] % line[1:])

    monkeypatch.setattr("airflow.triggers.base.BaseTrigger.log", SlowLog())
    assert has_ended(event_of(in_a_triggerer(make())))
    assert written == ["Account acc_1 can send on email." if make is gate else "Outreach job job_1 has succeeded."]


def test_of_a_mapped_gate_its_worker_has_asked(pushed):
    """Airflow hands the mapped task on with the trigger, because it wants to start from it."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_provider_revor.sensors.connect import SendableAccountSensor

    with DAG("d", schedule=None) as dag:
        SendableAccountSensor.partial(task_id="gate", start_from_trigger=True).expand(channel=["email"])
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("gate")
    assert has_ended(event_of(in_a_triggerer(gate(), task)))
    assert len(pushed) == 2


def test_a_task_that_cannot_be_asked_ends_on_a_worker(pushed):
    assert not has_ended(event_of(in_a_triggerer(gate(first_poll_at=None), SimpleNamespace(task_id="odd"))))
    assert pushed == []
