from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseOperator,
    TaskDeferred,
)
from factories import account, item, listing, refusal

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

URL = "https://revor.ai/api/v1/connect/accounts"
SHUT, OPEN = {"json": listing(item(can_send=False))}, {"json": listing(item())}
LIMITED = {"status_code": 429, "json": refusal("api_rate_limit_exceeded"), "headers": {"Retry-After": "120"}}


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1_000_000.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(time, "time", lambda: clock.now)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def pushed():
    return {}


@pytest.fixture
def context(connect, pushed):
    connect()
    return {"ti": SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))}


def gate(**kwargs):
    return SendableAccountSensor(task_id="gate", **{"deferrable": False, "timeout": 600, **kwargs})


def test_an_open_gate_hands_on_the_account_and_its_id(context, pushed, requests_mock, clock):
    requests_mock.get(URL, **OPEN)
    assert gate(channel="email").execute(context) == item()
    assert pushed == {"account_id": "acc_1"}
    assert clock.slept == []


def test_it_asks_for_all_accounts_and_filters_here(context, requests_mock):
    requests_mock.get(URL, json=listing(item(channel="linkedin"), item(account_id="acc_2")))
    assert gate(channel="email").execute(context)["account_id"] == "acc_2"
    assert requests_mock.last_request.qs == {}


def test_it_pokes_once_per_interval_until_one_can_send(context, requests_mock, clock):
    requests_mock.get(URL, [SHUT, SHUT, OPEN])
    gate(poke_interval=40).execute(context)
    assert (requests_mock.call_count, clock.slept) == (3, [40, 40])


def test_it_waits_for_that_very_account(context, requests_mock):
    requests_mock.get(URL, json=listing(item(), item(account_id="acc_9")))
    assert gate(account_id="acc_9").execute(context)["account_id"] == "acc_9"


@pytest.mark.parametrize(
    "fault",
    [
        {"status_code": 429, "json": refusal()},
        {"status_code": 500, "json": refusal()},
        {"status_code": 503, "text": "<html>"},
        {"text": "<html>"},
        {"exc": ConnectionError},
    ],
)
def test_what_heals_by_itself_is_waited_out_one_request_per_interval(context, requests_mock, clock, fault):
    import requests

    if "exc" in fault:
        fault = {"exc": requests.ConnectionError("reset")}
    requests_mock.get(URL, [fault, fault, OPEN])
    assert gate(poke_interval=40).execute(context) == item()
    assert (requests_mock.call_count, clock.slept) == (3, [40, 40])


def test_the_next_poll_is_not_before_retry_after_and_not_in_step_with_others(context, requests_mock, clock):
    pauses = set()
    for _ in range(20):
        clock.slept.clear()
        requests_mock.get(URL, [LIMITED, SHUT, OPEN])
        gate(poke_interval=40).execute(context)
        assert 120 <= clock.slept[0] <= 132
        assert clock.slept[1:] == [40]
        pauses.add(clock.slept[0])
    assert len(pauses) > 15


def test_a_retry_after_beyond_the_timeout_does_not_outlast_it(context, requests_mock, clock):
    requests_mock.get(URL, **{**LIMITED, "headers": {"Retry-After": "99999999"}})
    with pytest.raises(AirflowSensorTimeout):
        gate(poke_interval=40, timeout=300).execute(context)
    assert sum(clock.slept) <= 300 + 40


def test_an_interval_of_0_still_pauses(context, requests_mock, clock):
    requests_mock.get(URL, [SHUT, OPEN])
    gate(poke_interval=0).execute(context)
    assert clock.slept == [0.1]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status_code": 400, "json": refusal()}, e.RevorRequestError),
        ({"status_code": 401, "json": refusal("api_key_invalid")}, e.RevorAuthenticationError),
        ({"status_code": 403, "json": refusal("permission_denied")}, e.RevorPermissionError),
    ],
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_what_does_not_heal_fails_at_once(context, requests_mock, clock, answer, error, deferrable):
    requests_mock.get(URL, **answer)
    with pytest.raises(error):
        gate(deferrable=deferrable).execute(context)
    assert (requests_mock.call_count, clock.slept) == (1, [])


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_unusable_connection_fails_at_once(airflow_db, context, connect, deferrable):
    connect(password="")
    with pytest.raises(e.RevorConfigurationError, match="no API key"):
        gate(deferrable=deferrable).execute(context)


@pytest.mark.parametrize("deferrable", [False, True])
def test_soft_fail_skips(context, requests_mock, deferrable):
    requests_mock.get(URL, status_code=401, json=refusal())
    with pytest.raises(AirflowSkipException):
        gate(soft_fail=True, deferrable=deferrable).execute(context)


def test_it_logs_once_per_change_and_nothing_personal(context, requests_mock, caplog, monkeypatch):
    blocked = {"json": listing(item(status="credentials", can_send=False))}
    requests_mock.get(URL, [SHUT, SHUT, blocked, blocked, LIMITED, LIMITED, OPEN])
    monkeypatch.setattr(SendableAccountSensor, "log", logging.getLogger("gate"))
    with caplog.at_level(logging.INFO):
        gate().execute(context)
    of_airflow = ("operator.py", "baseoperator.py", "sensor.py", "base.py")
    told = [r.getMessage() for r in caplog.records if r.name == "gate" and r.filename not in of_airflow]
    assert len(told) == 9
    assert told[0] == told[3] == "Waiting. No account can send yet."
    assert told[1].startswith("acc_1: can_send is false")
    assert (
        told[2] == told[5] == "It looks again in about 1 minute and waits until 1970-01-12 13:56:40 UTC at the latest."
    )
    assert "reconnect it at https://revor.ai/console/connect" in told[4]
    assert "429 api_rate_limit_exceeded" in told[6]
    assert told[7].startswith("It looks again in about 2 minutes and waits until")
    assert told[8] == "Account acc_1 can send on email."
    assert "ada@example.com" not in caplog.text
    assert "sk-revor-canary" not in caplog.text


# -- deferring -------------------------------------------------------------------------------------------


def test_a_gate_that_is_open_does_not_defer(context, pushed, requests_mock):
    requests_mock.get(URL, **OPEN)
    assert gate(deferrable=True).execute(context) == item()
    assert pushed == {"account_id": "acc_1"}


def test_a_first_look_that_outlasts_the_timeout_is_the_last(context, requests_mock, clock):
    def slow(request, _):
        clock.now += 700
        return listing()

    requests_mock.get(URL, json=slow)
    with pytest.raises(AirflowSensorTimeout, match="within 600 s"):
        gate(deferrable=True).execute(context)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_task_that_allows_no_nested_operators_is_a_task_itself(context, requests_mock, deferrable):
    requests_mock.get(URL, **OPEN)
    module = sys.modules[BaseOperator.__module__]
    sentinel = getattr(module, "_sentinel", None) or module.ExecutorSafeguard.sentinel_value
    sensor = gate(deferrable=deferrable, allow_nested_operators=False)
    assert sensor.execute(context, SendableAccountSensor__sentinel=sentinel) == item()


def test_a_gate_that_is_shut_checks_once_and_defers(context, requests_mock, clock):
    requests_mock.get(URL, **LIMITED)
    sensor = gate(deferrable=True, channel="email", poke_interval=40)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(context)
    path, kwargs = deferred.value.trigger.serialize()
    assert path == "airflow_provider_revor.triggers.connect.SendableAccountTrigger"
    assert kwargs == {
        "revor_conn_id": "revor_default",
        "channel": "email",
        "account_id": None,
        "any_account": True,
        "pick": "first",
        "sticky_key": None,
        "sticky_digest": None,
        "poke_interval": 40.0,
        "first_poll_at": kwargs["first_poll_at"],
        "deadline": clock.now + 600,
        "deadline_status": "timeout",
        "timeout": None,
        "notify_at": None,
        "notify_after": None,
        "log_every": 3600.0,
        "silent_fail": False,
        "end_here": START_FROM_TRIGGER,
        "push_xcoms": True,
        "last_logged": kwargs["last_logged"],
    }
    assert clock.now + 120 <= kwargs["first_poll_at"] <= clock.now + 132
    assert deferred.value.method_name == "execute_complete"
    assert deferred.value.timeout.total_seconds() >= 600
    assert (requests_mock.call_count, clock.slept) == (1, [])


def test_it_goes_on_with_what_the_trigger_found(context, pushed):
    event = {"status": "success", "account": account().as_dict()}
    assert gate(deferrable=True).execute_complete(context, event) == item()
    assert pushed == {"account_id": "acc_1"}


def test_it_ends_as_the_trigger_says(context):
    with pytest.raises(AirflowSensorTimeout, match="within 600 s"):
        gate(deferrable=True).execute_complete(context, {"status": "timeout"})
    revoked = e.RevorAuthenticationError("Revoked.", code="api_key_invalid", status_code=401, request_id="req_1")
    with pytest.raises(e.RevorAuthenticationError, match="Revoked") as caught:
        gate(deferrable=True).execute_complete(context, {"status": "error", "error": revoked.as_dict()})
    assert caught.value.request_id == "req_1"


def test_an_execution_timeout_that_is_over_first_ends_the_wait_as_it_ends_a_poking_task(context, requests_mock, clock):
    requests_mock.get(URL, **SHUT)
    sensor = gate(deferrable=True, execution_timeout=timedelta(seconds=50))
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(context)
    assert deferred.value.trigger.deadline == clock.now + 50
    event = {"status": deferred.value.trigger.deadline_status}
    with pytest.raises(AirflowTaskTimeout):
        sensor.resume_execution("execute_complete", {"event": event}, context)


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({}, AirflowSensorTimeout),
        ({"soft_fail": True}, AirflowSkipException),
        ({"never_fail": True}, AirflowSensorTimeout),
        ({"execution_timeout": timedelta(seconds=5)}, AirflowTaskTimeout),
    ],
)
def test_airflows_own_clock_means_the_same_as_the_triggers(context, kwargs, error):
    # "Trigger timeout" on Airflow 3, "Trigger/execution timeout" on Airflow 2.
    for words in ("Trigger timeout", "Trigger/execution timeout"):
        with pytest.raises(error):
            gate(**kwargs).resume_execution("__fail__", {"error": words}, context)


def test_a_trigger_that_broke_fails_the_task_for_airflow_to_retry(context):
    with pytest.raises(AirflowException) as failed:
        gate(deferrable=True).resume_execution("__fail__", {"error": "Trigger failure"}, context)
    assert not isinstance(failed.value, (AirflowFailException, AirflowSensorTimeout, AirflowSkipException))


# -- starting and ending in the triggerer ----------------------------------------------------------------


@pytest.mark.skipif(not START_FROM_TRIGGER, reason="a gate starts from the trigger on Airflow 3.3+")
def test_it_tells_airflow_how_to_start_from_the_trigger():
    from airflow.triggers.base import StartTriggerArgs

    from airflow_provider_revor.triggers.connect import SendableAccountTrigger

    sensor = gate(start_from_trigger=True, channel="{{ params.c }}", poke_interval=40)
    assert sensor.start_from_trigger is True
    arguments = sensor.start_trigger_args
    assert isinstance(arguments, StartTriggerArgs)
    # The trigger gives up first, and says why.
    assert arguments.trigger_kwargs["timeout"] == 600
    assert (arguments.next_method, arguments.timeout) == ("execute_complete", timedelta(seconds=660))
    trigger = SendableAccountTrigger(**arguments.trigger_kwargs)
    assert arguments.trigger_cls == trigger.path
    assert (trigger.channel, trigger.poke_interval, trigger.end_here) == ("{{ params.c }}", 40, True)
    assert gate().start_trigger_args is None


def test_where_it_cannot_start_from_the_trigger_it_defers_from_the_worker_and_says_so(
    context, requests_mock, caplog, monkeypatch
):
    requests_mock.get(URL, **SHUT)
    monkeypatch.setattr(SendableAccountSensor, "log", logging.getLogger("gate"))
    with caplog.at_level(logging.WARNING), pytest.raises(TaskDeferred):
        gate(start_from_trigger=True).execute(context)
    assert [r.getMessage()[:44] for r in caplog.records if "start from the trigger" in r.getMessage()] == [
        "This gate cannot start from the trigger, whi"
    ]


class OfficeHours(SendableAccountSensor):
    def poke(self, context):
        return False


def test_a_derived_gate_whose_poke_a_trigger_would_leave_out_says_so(context, requests_mock, caplog, monkeypatch):
    requests_mock.get(URL, **SHUT)
    monkeypatch.setattr(SendableAccountSensor, "log", logging.getLogger("gate"))
    for make, said in ((SendableAccountSensor, 0), (OfficeHours, 1)):
        with caplog.at_level(logging.WARNING), pytest.raises(TaskDeferred):
            make(task_id="gate", deferrable=True).execute(context)
        assert caplog.text.count("The triggerer does not call the poke of OfficeHours") == said


@pytest.mark.parametrize("argument", ["account_id", "channel", "revor_conn_id"])
def test_the_output_of_a_task_cannot_start_from_the_trigger(argument):
    from airflow.providers.common.compat.sdk import DAG

    with DAG("d", schedule=None):
        upstream = gate(channel="email")
        sensor = SendableAccountSensor(
            task_id="that", start_from_trigger=True, **{argument: upstream.output["account_id"]}
        )
    assert not sensor.start_from_trigger
    assert sensor.deferrable


def test_a_pure_gate_pushes_no_xcom(context, pushed, requests_mock):
    requests_mock.get(URL, **OPEN)
    gate(do_xcom_push=False).execute(context)
    gate(do_xcom_push=False).execute_complete(context, {"status": "success", "account": item()})
    assert pushed == {}
    requests_mock.get(URL, **SHUT)
    with pytest.raises(TaskDeferred) as deferred:
        gate(do_xcom_push=False, deferrable=True).execute(context)
    assert deferred.value.trigger.push_xcoms is False


@pytest.mark.skipif(not START_FROM_TRIGGER, reason="a gate ends in the triggerer on Airflow 3.3+")
@pytest.mark.parametrize(
    "kwargs",
    [{"end_on_worker": True}, {"post_execute": print}],
    ids=str,
)
@pytest.mark.parametrize("start", [False, True])
def test_it_ends_on_a_worker_if_that_is_asked_for_or_has_more_to_do(context, requests_mock, kwargs, start):
    sensor = gate(deferrable=True, start_from_trigger=start, **kwargs)
    if start:
        assert sensor.start_trigger_args.trigger_kwargs["end_here"] is False
        return
    requests_mock.get(URL, **SHUT)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(context)
    assert deferred.value.trigger.end_here is False


# -- arguments -------------------------------------------------------------------------------------------


def test_a_bad_literal_channel_fails_when_the_dag_is_parsed():
    with pytest.raises(ValueError, match="'sms' is no Revor channel"):
        gate(channel="sms")


@pytest.mark.parametrize("name", ["poke_interval", "timeout"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), timedelta(seconds=-1), "60"])
def test_what_is_no_length_of_time_fails_when_the_dag_is_parsed(name, value):
    for kwargs in ({name: value}, {"default_args": {name: value}}):
        with pytest.raises(e.RevorValueError, match=f"^{name}="):
            SendableAccountSensor(task_id="gate", **kwargs)


@pytest.mark.parametrize("start_from_trigger", [False, True])
def test_the_longest_timeout_overflows_nothing(context, requests_mock, start_from_trigger):
    requests_mock.get(URL, **SHUT)
    sensor = gate(
        timeout=timedelta.max, poke_interval=timedelta.max, deferrable=True, start_from_trigger=start_from_trigger
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(context)
    ahead = [deferred.value.timeout, *([sensor.start_trigger_args.timeout] if sensor.start_trigger_args else [])]
    assert all(datetime.now(UTC) + timeout < datetime(9999, 1, 1, tzinfo=UTC) for timeout in ahead)
    assert deferred.value.trigger.deadline < 10**10


def test_the_longest_interval_can_be_slept(context, requests_mock, clock):
    requests_mock.get(URL, [SHUT, OPEN])
    gate(timeout=timedelta.max, poke_interval=timedelta.max).execute(context)
    assert clock.slept == [315_360_000]


def test_templates_are_rendered(context, requests_mock):
    requests_mock.get(URL, json=listing(item(channel="linkedin"), item(account_id="acc_2")))
    sensor = gate(channel="{{ params.c }}", revor_conn_id="{{ params.conn }}")
    sensor.render_template_fields({"params": {"c": "email", "conn": "revor_default"}})
    assert sensor.execute(context)["account_id"] == "acc_2"


@pytest.mark.parametrize("rendered", ["", "None", None])
@pytest.mark.parametrize("deferrable", [False, True])
def test_an_account_that_renders_to_nothing_is_an_error_not_any_account(context, requests_mock, rendered, deferrable):
    requests_mock.get(URL, **OPEN)
    sensor = gate(account_id="{{ params.a }}", deferrable=deferrable)
    sensor.account_id = rendered
    with pytest.raises(e.RevorValueError, match="must name an account"):
        sensor.execute(context)


def test_no_xcom_is_pushed_where_none_is_wanted(context, pushed, requests_mock):
    requests_mock.get(URL, **OPEN)
    gate(do_xcom_push=False).execute(context)
    assert pushed == {}


@pytest.mark.parametrize("name", ["timeout", "poke_interval"])
def test_a_length_of_time_beyond_reason_is_ten_years(name):
    for value in (1e308, 10**400, timedelta.max):
        sensor = SendableAccountSensor(task_id="gate", **{name: value})
        assert getattr(sensor, name) == 10 * 365 * 86_400
