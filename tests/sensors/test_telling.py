"""What people learn of a wait: signs of life, what a time-out says, and who is told that it lasts; in every mode."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseNotifier,
    TaskDeferred,
)
from factories import account, job
from modes import MODES, Clock
from outreach_tasks import Store

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.jobs import OutreachJob
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor
from airflow_provider_revor.triggers.connect import SendableAccountTrigger
from airflow_provider_revor.triggers.outreach import OutreachJobTrigger
from airflow_provider_revor.version_compat import COUNTS_CLEARS, START_FROM_TRIGGER

OUTREACH = DAG("outreach", schedule=None)
START = 1_700_000_000.0
SHUT = [account(status="credentials"), account(account_id="acc_2", status="error", can_send=False)]
CONSOLE = "https://revor.ai/console/connect"
REMEDIES = [
    f"acc_1: its credentials must be updated: reconnect it at {CONSOLE} (status credentials, lifecycle active).",
    f"acc_2: it is not available now: if that persists, reconnect it at {CONSOLE} (status error, lifecycle active).",
]
RUNNING = OutreachJob(**job(status="running", result=None))

every_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def play(connect, monkeypatch, caplog):
    """Return a function that waits in a mode, while the polls come to what is given, the last one for ever."""
    connect()
    for cls in (SendableAccountSensor, SendableAccountTrigger, OutreachJobSensor, OutreachJobTrigger):
        monkeypatch.setattr(cls, "log", logging.getLogger("wait"))
    caplog.set_level(logging.INFO, "wait")

    def wait(mode, sensor, *polls, told=None, delay=0.0, store=None):
        clock = Clock(monkeypatch, START)
        clock.scheduler_delay = delay
        if told is not None:
            told.clock = clock
        seen = iter(polls)
        latest = []

        def poll(hook, *job_id):
            latest[:] = [next(seen, *latest)]
            if isinstance(latest[0], Exception):
                raise latest[0]
            return latest[0]

        async def apoll(hook, *job_id):
            return poll(hook)

        for name in ("list_connect_accounts", "get_outreach_job"):
            monkeypatch.setattr(RevorHook, name, poll)
            monkeypatch.setattr(RevorHook, f"a{name}", apoll)
        context = {
            "dag": OUTREACH,
            "ti": clock.ti(task_id="gate", dag_id="outreach", log_url="https://airflow/log"),
        }
        if store is not None:
            context["task_state_store"] = store
        return MODES[mode](sensor, context, clock)

    return wait


@pytest.fixture
def lines(caplog):
    of_airflow = ("operator.py", "baseoperator.py", "sensor.py")
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "wait" and record.filename not in of_airflow
    ]


def gate(**kwargs):
    arguments = {"channel": "email", "deferrable": False, "poke_interval": 60, "timeout": 600, **kwargs}
    return SendableAccountSensor(task_id="gate", **arguments)


def job_sensor(**kwargs):
    arguments = {"job_id": "job_1", "deferrable": False, "poke_interval": 60, "timeout": 600, **kwargs}
    return OutreachJobSensor(task_id="wait", **arguments)


# -- the log ---------------------------------------------------------------------------------------------


@every_mode
def test_each_account_has_a_line_of_its_own_with_a_remedy_and_the_last_one_says_when_it_looks_again(play, lines, mode):
    play(mode, gate(), SHUT, [account()])
    assert lines()[:4] == [
        "Waiting. No email account can send yet.",
        *REMEDIES,
        "It looks again in about 1 minute and waits until 2023-11-14 22:23:20 UTC at the latest.",
    ]


@pytest.mark.parametrize("mode", ["poke", "deferred"])
@pytest.mark.parametrize(
    ("sensor", "poll"), [pytest.param(gate, SHUT, id="gate"), pytest.param(job_sensor, RUNNING, id="job")]
)
def test_a_wait_without_change_gives_a_sign_of_life_once_an_hour(play, lines, mode, sensor, poll):
    with pytest.raises(AirflowSensorTimeout):
        play(mode, sensor(timeout=4 * 3600 + 300), poll)
    said = lines()
    assert len([line for line in said if line.startswith("Waiting.")]) == 1
    assert len([line for line in said if line.startswith("Still waiting.")]) == 4
    assert len([line for line in said if line.startswith("It looks again")]) == 5


@pytest.mark.parametrize("mode", ["poke", "deferred"])
def test_signs_of_life_are_as_far_apart_as_asked_for_while_a_fault_lasts(play, lines, mode):
    with pytest.raises(AirflowSensorTimeout):
        play(mode, gate(timeout=2 * 3600, log_every=timedelta(minutes=30)), e.RevorServerError("busy", status_code=503))
    said = lines()
    assert len([line for line in said if line.startswith("Could not learn which accounts can send")]) == 1
    # A sensor that pokes looks once more when the time is up.
    assert len([line for line in said if line.startswith("Still waiting. Could not learn")]) in (3, 4)


@every_mode
def test_the_end_of_a_job_is_logged_once(play, lines, mode):
    play(mode, job_sensor(), RUNNING, OutreachJob(**job()))
    assert [line for line in lines() if "succeeded" in line] == ["Outreach job job_1 has succeeded."]


@every_mode
def test_a_failure_is_no_line_at_info_but_the_error_of_the_task(play, caplog, mode):
    with pytest.raises(e.RevorJobFailedError, match="Outreach job job_1 failed"):
        play(mode, job_sensor(), RUNNING, OutreachJob(**job(status="failed", result=None)))
    assert [record for record in caplog.records if "failed" in record.getMessage() and record.levelname == "INFO"] == []


# -- time-outs -------------------------------------------------------------------------------------------


@every_mode
def test_a_gate_that_times_out_says_what_it_waited_for_and_why_it_never_came(play, mode):
    with pytest.raises(AirflowSensorTimeout) as ended:
        play(mode, gate(), SHUT)
    said = str(ended.value)
    assert said.startswith("No email account could send within 600 s on connection 'revor_default'. ")
    assert "acc_1: its credentials must be updated: reconnect it at https://revor.ai/console/connect" in said
    assert "acc_2: it is not available now" in said


@every_mode
def test_a_gate_that_is_skipped_says_the_same(play, mode):
    with pytest.raises(AirflowSkipException, match="Account acc_1 could not send within 600 s .* credentials"):
        play(mode, gate(soft_fail=True, account_id="acc_1"), SHUT)


@every_mode
def test_a_job_sensor_that_times_out_says_which_job_and_how_it_stands(play, mode):
    words = (
        "Outreach job job_1 has not ended within 600 s on connection 'revor_default'. Outreach job job_1 is running."
    )
    with pytest.raises(AirflowSensorTimeout, match=words):
        play(mode, job_sensor(), RUNNING)


@every_mode
def test_the_last_fault_is_a_reason_too(play, mode):
    with pytest.raises(AirflowSensorTimeout, match="Could not learn which accounts can send.*RevorServerError: busy"):
        play(mode, gate(), SHUT, e.RevorServerError("busy", status_code=503))


def test_airflows_own_timeout_says_what_was_waited_for(play):
    with pytest.raises(AirflowSensorTimeout, match="No email account could send within 600 s on connection 'revor_def"):
        gate().resume_execution("__fail__", {"error": "Trigger timeout"}, {})


def test_an_execution_timeout_says_what_was_waited_for(play):
    with pytest.raises(AirflowTaskTimeout, match="No email account could send within 0:01:30 on .*credentials"):
        play("deferred", gate(execution_timeout=timedelta(seconds=90)), SHUT)


# -- telling people --------------------------------------------------------------------------------------


class Told:
    """What a callback was told, and when."""

    def __init__(self):
        self.calls = []
        self.clock = None

    def __deepcopy__(self, memo):
        """Each process of a rescheduled sensor has a copy of its own, and tells the same people."""
        return self

    def __call__(self, context):
        self.calls.append((round(self.clock.passed), context["revor_wait"]))


@every_mode
@pytest.mark.parametrize("sensor", [gate, job_sensor])
@pytest.mark.parametrize("delay", [0, 7, 50])
@pytest.mark.parametrize("after", [0, 30, 60, 150, 400, 540])
def test_a_wait_that_lasts_tells_people_once_and_goes_on_with_the_same_deadline(play, mode, sensor, delay, after):
    told = Told()
    waits = sensor(notify_after=timedelta(seconds=after), on_waiting_callback=told)
    with pytest.raises(AirflowSensorTimeout, match="within 600 s"):
        play(mode, waits, SHUT if sensor is gate else RUNNING, told=told, delay=delay)
    assert len(told.calls) == 1
    # A process that is rescheduled may begin late.
    assert after <= told.calls[0][0] <= after + 1 + (delay if mode == "reschedule" else 0)
    assert 600 <= told.clock.passed <= 600 + 75 + (delay if mode == "reschedule" else 0)


@pytest.mark.parametrize("delay", [0, 7, 70, 200])
@pytest.mark.parametrize("after", [0, 30, 80, 150, 400])
def test_a_rescheduled_wait_tells_people_once_however_late_its_processes_begin(play, delay, after):
    """It waits for a place in the pool, for example."""
    told, store = Told(), Store()
    # An earlier wait of the same task instance, before a person cleared it.
    store["airflow_provider_revor.told_at"] = START - 1000
    waits = gate(notify_after=after, on_waiting_callback=told)
    with pytest.raises(AirflowSensorTimeout, match="within 600 s"):
        play("reschedule", waits, SHUT, told=told, delay=delay, store=store)
    assert len(told.calls) == 1
    assert after <= told.calls[0][0] <= after + delay + 1


class BrokenStore:
    def get(self, key):
        raise OSError("away")

    def set(self, key, value, *, retention):
        raise OSError("away")


@pytest.mark.skipif(not COUNTS_CLEARS, reason="the task state store is new in Airflow 3.3")
def test_a_store_that_cannot_be_used_stops_neither_the_wait_nor_the_telling(play, lines):
    told = Told()
    play(
        "reschedule",
        gate(notify_after=80, on_waiting_callback=told),
        *4 * [SHUT],
        [account()],
        told=told,
        delay=7,
        store=BrokenStore(),
    )
    assert len(told.calls) == 1
    assert any("people may be told again: OSError: away" in line for line in lines())


@pytest.mark.parametrize(("delay", "times"), [(7, 1), (70, 0)])
def test_without_a_store_a_process_that_begins_very_late_does_not_know_and_tells_nobody(play, delay, times):
    told = Told()
    with pytest.raises(AirflowSensorTimeout):
        play("reschedule", gate(notify_after=65, on_waiting_callback=told), SHUT, told=told, delay=delay)
    assert len(told.calls) == times


@every_mode
def test_people_are_told_the_reasons_and_the_links(play, mode):
    told = Told()
    play(mode, gate(notify_after=300, on_waiting_callback=told), *7 * [SHUT], [account()], told=told)
    ((_, wait),) = told.calls
    reasons = [
        "No email account can send yet.",
        *REMEDIES,
    ]
    assert wait == {
        "waited": "5 minutes",
        "until": "2023-11-14 22:23:20 UTC",
        "reasons": reasons,
        "links": {"accounts": CONSOLE, "log": "https://airflow/log"},
        "message": "\n".join(
            [
                "Task gate of Dag outreach has waited for 5 minutes. No email account could send on connection "
                "'revor_default'.",
                *reasons,
                "It waits until 2023-11-14 22:23:20 UTC.",
                f"Accounts: {CONSOLE}",
                "Log: https://airflow/log",
            ]
        ),
    }


@every_mode
def test_a_wait_that_ends_before_tells_nobody(play, mode):
    told = Told()
    play(mode, gate(notify_after=300, on_waiting_callback=told), SHUT, SHUT, [account()], told=told)
    assert told.calls == []


@every_mode
def test_nobody_waits_for_news_longer_than_without_a_callback(play, mode):
    """People are told while the wait goes on: a look that Revor forbids is not made for them."""
    limited = e.RevorRateLimitError("limited", status_code=429, retry_after=200.0)
    told = Told()
    play(mode, gate(notify_after=100, on_waiting_callback=told), SHUT, limited, [account()], told=told)
    assert [at for at, _ in told.calls] == [100]
    assert "RevorRateLimitError: limited" in told.calls[0][1]["message"]
    assert 60 + 200 <= told.clock.passed <= 60 + 200 + 90


class Notifier(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.sent = []

    def __deepcopy__(self, memo):
        return self

    def notify(self, context):
        self.sent.append(self.text)


@every_mode
def test_notifiers_render_what_is_known_and_one_that_fails_stops_neither_the_others_nor_the_wait(play, mode, lines):
    def broken(context):
        raise ZeroDivisionError

    notifier = Notifier("{{ revor_wait.waited }}: {{ revor_wait.links.accounts }}")
    sensor = gate(notify_after=90, on_waiting_callback=[broken, notifier])
    play(mode, sensor, SHUT, SHUT, SHUT, [account()])
    assert notifier.sent == ["1 minute 30 seconds: https://revor.ai/console/connect"]
    assert "The callback broken failed; the task waits on." in lines()


@pytest.mark.skipif(not START_FROM_TRIGGER, reason="a gate starts from the trigger on Airflow 3.3+")
def test_a_gate_that_starts_in_the_triggerer_tells_people_too_and_gives_up_in_time(connect, monkeypatch, caplog):
    connect()
    monkeypatch.setattr(SendableAccountSensor, "log", logging.getLogger("wait"))
    clock, told = Clock(monkeypatch, START), Told()
    told.clock = clock

    async def poll(hook):
        return SHUT

    monkeypatch.setattr(RevorHook, "alist_connect_accounts", poll)
    sensor = gate(start_from_trigger=True, notify_after=150, on_waiting_callback=told)

    def run(trigger):
        return asyncio.run(anext(aiter(trigger.run()))).payload

    clock.deadline = START + 150
    event = run(SendableAccountTrigger(**sensor.start_trigger_args.trigger_kwargs))
    assert event["status"] == "waiting"
    with pytest.raises(TaskDeferred) as deferred:
        sensor.resume_execution("execute_complete", {"event": event}, {"ti": clock.ti()})
    assert [at for at, _ in told.calls] == [150]
    assert "cannot start from the trigger" not in caplog.text
    trigger = deferred.value.trigger
    clock.deadline = trigger.deadline
    assert trigger.deadline == START + 600
    ended = run(trigger)
    with pytest.raises(AirflowSensorTimeout, match="within 600 s .* credentials must be updated"):
        sensor.resume_execution("execute_complete", {"event": ended}, {"ti": clock.ti()})
    assert len(told.calls) == 1


def test_a_job_is_asked_for_by_the_same_version_after_people_were_told(connect, monkeypatch):
    connect()
    clock, told = Clock(monkeypatch, START), Told()
    told.clock = clock
    versions = []

    async def poll(hook, job_id):
        versions.append(hook.api_version)
        return RUNNING

    monkeypatch.setattr(RevorHook, "aget_outreach_job", poll)
    trigger = OutreachJobTrigger(
        job_id="job_1", api_version="v2", deadline=START + 600, notify_at=START + 150, first_poll_at=START + 60
    )
    clock.deadline = START + 150
    event = asyncio.run(anext(aiter(trigger.run()))).payload
    # On a worker that has never looked: the connection may say v1 by now.
    sensor = job_sensor(deferrable=True, notify_after=150, on_waiting_callback=told)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.resume_execution("execute_complete", {"event": event}, {"ti": clock.ti()})
    assert len(told.calls) == 1
    assert (set(versions), deferred.value.trigger.api_version) == ({"v2"}, "v2")


def test_notify_after_takes_a_callback():
    with pytest.raises(e.RevorValueError, match="notify_after takes an on_waiting_callback"):
        gate(notify_after=60)
    with pytest.raises(e.RevorValueError, match="^notify_after="):
        gate(notify_after=-1, on_waiting_callback=print)
    with pytest.raises(e.RevorValueError, match="^log_every="):
        gate(log_every=float("nan"))


async def tell_later(context):
    """Airflow awaits it no more than we do."""


class TellsLater:
    async def __call__(self, context):
        """The same."""


@pytest.mark.parametrize("bad", [tell_later, partial(tell_later), TellsLater(), "tell", ["tell"], 5, [print, 5]])
def test_a_callback_that_would_tell_nobody_fails_when_the_dag_is_parsed(bad):
    with pytest.raises(e.RevorValueError, match="^on_waiting_callback (is async|has a)"):
        gate(notify_after=60, on_waiting_callback=bad)


def test_a_callback_without_its_time_would_tell_nobody_unless_it_is_every_tasks():
    with pytest.raises(e.RevorValueError, match="^on_waiting_callback takes notify_after"):
        gate(on_waiting_callback=print)
    with DAG("d", schedule=None, default_args={"on_waiting_callback": print}):
        assert gate().notify_after is None
