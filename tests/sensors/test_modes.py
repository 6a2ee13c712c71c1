"""One table: whatever happens, a gate ends the same whether it pokes, is rescheduled or is deferred."""

from __future__ import annotations

import logging

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
)
from factories import account, item, listing
from modes import Clock, by_deferring, by_poking, by_rescheduling

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.triggers.connect import SendableAccountTrigger

SHUT, OPEN = listing(item(can_send=False)), listing(item())
# The key 1 meets the second.
BOTH = listing(item(account_id="acc_2"), item())

# What the polls get, one after the other, the last one for ever; the sensor's arguments; how it ends.
TABLE = {
    "it is open": ([OPEN], {}, "success"),
    "it opens later": ([SHUT, SHUT, OPEN], {}, "success"),
    "it is picked by a key": ([SHUT, BOTH], {"pick": "sticky", "sticky_key": 1}, "success"),
    "faults heal": ([429, 503, "reset", "<html>", OPEN], {}, "success"),
    "it never opens": ([SHUT], {}, AirflowSensorTimeout),
    "it never opens, soft_fail": ([SHUT], {"soft_fail": True}, AirflowSkipException),
    "it never opens, never_fail": ([SHUT], {"never_fail": True}, AirflowSensorTimeout),
    "faults last": ([SHUT, 503], {}, AirflowSensorTimeout),
    "the key is revoked": ([SHUT, 401], {}, e.RevorAuthenticationError),
    "the key is revoked, soft_fail": ([SHUT, 401], {"soft_fail": True}, AirflowSkipException),
    "the key is revoked, never_fail": ([SHUT, 401], {"never_fail": True}, AirflowSkipException),
    "the key is revoked, silent_fail": ([SHUT, 401, OPEN], {"silent_fail": True}, e.RevorAuthenticationError),
    "permission is taken": ([SHUT, 403], {}, e.RevorPermissionError),
    "it is not there": ([SHUT, 404], {}, e.RevorNotFoundError),
    "it is not there, soft_fail": ([SHUT, 404], {"soft_fail": True}, e.RevorNotFoundError),
    "it is not there, never_fail": ([SHUT, 404], {"never_fail": True}, AirflowSkipException),
    "it is not there, silent_fail": ([SHUT, 404, 404, OPEN], {"silent_fail": True}, "success"),
    "it is not there at first, silent_fail": ([404, OPEN], {"silent_fail": True}, "success"),
    "it is not there at first, never_fail": ([404], {"never_fail": True}, AirflowSkipException),
    "the key is revoked at first, soft_fail": ([401], {"soft_fail": True}, AirflowSkipException),
    "the key is revoked at first, silent_fail": ([401, OPEN], {"silent_fail": True}, e.RevorAuthenticationError),
    "the first look meets a bug": (["bug"], {"soft_fail": True}, ZeroDivisionError),
    "the first look meets a bug, silent_fail": (["bug", OPEN], {"silent_fail": True}, "success"),
    "the first look meets a bug, never_fail": (["bug"], {"never_fail": True}, AirflowSkipException),
    "the connection is missing for a while": ([SHUT, *3 * ["missing"], SHUT, *3 * ["missing"], OPEN], {}, "success"),
    "the connection is missing at first": (["missing", OPEN], {}, "success"),
    "the connection is gone": ([SHUT, "missing"], {}, e.RevorMissingConnectionError),
    "the connection is gone, soft_fail": ([SHUT, "missing"], {"soft_fail": True}, e.RevorMissingConnectionError),
    "the connection is gone, never_fail": ([SHUT, "missing"], {"never_fail": True}, AirflowSkipException),
    "the connection is gone, silent_fail": ([SHUT, "missing"], {"silent_fail": True}, AirflowSensorTimeout),
    "the connection is gone, a long interval": (
        [SHUT, "missing"],
        {"poke_interval": 400, "timeout": 2000},
        e.RevorMissingConnectionError,
    ),
    "it is of another channel": ([SHUT], {"channel": "linkedin", "account_id": "acc_1"}, e.RevorValueError),
}


class World(Clock):
    """Revor's answers and a clock that only waiting moves."""

    def __init__(self, monkeypatch, answers):
        super().__init__(monkeypatch, 1_700_000_000.0)
        self.answers = answers
        self.polls = self.misses = 0
        monkeypatch.setattr(RevorHook, "list_connect_accounts", lambda hook: self.poll())
        monkeypatch.setattr(RevorHook, "alist_connect_accounts", lambda hook: self.apoll())

    def poll(self):
        answer = self.answers[min(self.polls, len(self.answers) - 1)]
        self.polls += 1
        if answer == "missing":
            self.misses += 1
            raise e.RevorMissingConnectionError("missing")
        if answer == "bug":
            raise ZeroDivisionError
        if answer == "reset":
            raise e.RevorConnectionError("reset")
        if answer == "<html>":
            raise e.RevorResponseError("HTML")
        if isinstance(answer, int):
            raise ERRORS[answer]("refused", status_code=answer)
        return [account(**one) for one in answer["items"]]

    async def apoll(self):
        return self.poll()


ERRORS = {
    401: e.RevorAuthenticationError,
    403: e.RevorPermissionError,
    404: e.RevorNotFoundError,
    429: e.RevorRateLimitError,
    503: e.RevorServerError,
}


@pytest.mark.parametrize("wait", [by_poking, by_rescheduling, by_deferring])
@pytest.mark.parametrize("situation", TABLE)
def test_a_gate_ends_the_same_in_every_mode(connect, monkeypatch, wait, situation):
    answers, kwargs, end = TABLE[situation]
    connect()
    world = World(monkeypatch, answers)
    sensor = SendableAccountSensor(
        task_id="gate", **{"deferrable": False, "poke_interval": 60, "timeout": 600, **kwargs}
    )
    pushed = {}
    context = {"ti": world.ti(xcom_push=lambda key, value: pushed.update({key: value}))}

    if end == "success":
        assert wait(sensor, context, world) == item()
        assert pushed == {"account_id": "acc_1"}
        assert world.polls == len(answers)
    else:
        with pytest.raises(end) as ended:
            wait(sensor, context, world)
        assert type(ended.value) is end
        assert pushed == {}
    # At most one request per interval, from the first on.
    assert world.polls - world.misses <= 1 + (world.passed) / 60


@pytest.mark.parametrize("wait", [by_poking, by_rescheduling, by_deferring])
def test_a_connection_that_is_gone_fails_the_task_after_five_minutes_and_is_logged_once(
    connect, monkeypatch, caplog, wait
):
    connect()
    world = World(monkeypatch, [SHUT, "missing"])
    for cls in (SendableAccountSensor, SendableAccountTrigger):
        monkeypatch.setattr(cls, "log", logging.getLogger("wait"))
    sensor = SendableAccountSensor(task_id="gate", deferrable=False, poke_interval=60, timeout=86_400)
    context = {"ti": world.ti()}
    with caplog.at_level(logging.WARNING, "wait"), pytest.raises(e.RevorMissingConnectionError):
        wait(sensor, context, world)
    # From the first miss on, which is a minute after the first look.
    assert 60 + 300 <= world.passed <= 60 + 300 + 70
    told = [record.getMessage() for record in caplog.records if "Could not learn" in record.getMessage()]
    assert told == ["Could not learn which accounts can send, waiting on: RevorMissingConnectionError: missing"]
