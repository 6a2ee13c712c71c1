from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from factories import account, item
from triggers.waits import GATE, Polls, events, payload

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.triggers.connect import SendableAccountEventTrigger, SendableAccountTrigger
from airflow_provider_revor.version_compat import ASSET_WATCHERS, SHARED_POLLS

SHUT, OPEN = GATE.goes_on, GATE.ends
LIMITED = e.RevorRateLimitError("limited", status_code=429, retry_after=300.0)


@pytest.fixture
def polls(monkeypatch):
    return Polls(monkeypatch, GATE)


def test_it_fires_once_an_account_can_send(polls):
    polls.answers = [SHUT, SHUT, OPEN]
    assert payload(SendableAccountTrigger(poke_interval=40)) == {"status": "success", "account": item()}
    assert polls.count == 3


@pytest.mark.parametrize("deadline", [None, 4_000_000_000.0])
def test_a_timeout_within_the_stream_is_not_the_gates_own(polls, deadline):
    async def broken():
        raise TimeoutError("theirs")
        yield

    async def run():
        return await anext(SendableAccountTrigger(deadline=deadline).filter_shared_stream(broken()))

    with pytest.raises(TimeoutError, match="theirs"):
        asyncio.run(run())


def test_a_channel_that_is_none_ends_the_wait():
    assert payload(SendableAccountTrigger(channel="sms"))["error"]["error"] == "RevorValueError"


def test_a_missing_connection_is_logged_once(airflow_db, caplog, monkeypatch):
    monkeypatch.setattr(SendableAccountTrigger, "log", logging.getLogger("trigger"))
    gone = SendableAccountTrigger(revor_conn_id="nowhere", poke_interval=0.1, deadline=time.time() + 4)
    with caplog.at_level(logging.INFO, "trigger"):
        ended = payload(gone)
    assert ended["status"] == "timeout"
    assert "There is no Airflow connection 'nowhere'" in ended["reasons"][0]
    told, pausing = [record.getMessage() for record in caplog.records if record.name == "trigger"]
    assert "There is no Airflow connection 'nowhere'" in told
    assert pausing.startswith("It looks again in about 1 second and waits until")


def test_it_logs_once_per_change_not_what_the_worker_told_and_nothing_personal(polls, caplog, monkeypatch):
    other = [account(status="credentials")]
    polls.answers = [SHUT, SHUT, other, other, LIMITED, LIMITED, OPEN]
    trigger = SendableAccountTrigger(poke_interval=40)
    monkeypatch.setattr(SendableAccountTrigger, "log", logging.getLogger("trigger"))
    with caplog.at_level(logging.INFO):
        (event,) = events(trigger)
    told = [r.getMessage() for r in caplog.records if r.name == "trigger"]
    assert len(told) == 9
    assert told[0] == told[3] == "Waiting. No account can send yet."
    assert "can_send is false" in told[1]
    assert "reconnect it" in told[4]
    assert "limited" in told[6]
    assert [told[n] for n in (2, 5, 7)] == [f"It looks again in about {n}." for n in 2 * ["40 seconds"] + ["5 minutes"]]
    assert told[8] == "Account acc_1 can send on email."
    # This is what the triggerer itself logs at INFO.
    assert "ada@example.com" not in f"{caplog.text}{event} {event!r}"


@pytest.mark.parametrize("account_id", [None, "", "None"])
def test_an_account_that_rendered_to_nothing_is_an_error_not_any_account(polls, account_id):
    polls.answers = [OPEN]
    ended = payload(SendableAccountTrigger(account_id=account_id, any_account=False))
    assert ended["error"]["error"] == "RevorValueError"


# -- sharing ---------------------------------------------------------------------------------------------


def test_gates_share_a_poll_whatever_they_wait_for():
    def key(**kwargs):
        return SendableAccountTrigger(**kwargs).shared_stream_key()

    assert key(channel="email") == key(account_id="a", deadline=5.0, last_logged="x", first_poll_at=1.0)
    assert hash(key()) == hash(key(channel="linkedin"))
    assert key() != key(revor_conn_id="other")
    assert key() != key(poke_interval=5.0)


@pytest.mark.skipif(not SHARED_POLLS, reason="Airflow shares streams of polls from 3.3 on")
def test_many_gates_of_a_triggerer_cost_one_poll(polls):
    from airflow.triggers.shared_stream import SharedStreamManager

    polls.answers = [SHUT, e.RevorServerError("x"), SHUT, [account(), account(account_id="acc_2", channel="linkedin")]]

    async def run():
        manager = SharedStreamManager(
            log=logging.getLogger("manager"), max_subscriber_queue=100, ack_timeout=60, cohort_grace_period=0
        )
        triggers = [
            SendableAccountTrigger(channel=["email", "linkedin", None][n % 3], poke_interval=40) for n in range(60)
        ]

        async def wait(n, trigger):
            key = trigger.shared_stream_key()
            stream = manager.subscribe(trigger_id=n, trigger=trigger, key=key)
            (event,) = [event async for event in trigger.filter_shared_stream(stream)]
            await manager.unsubscribe(n, key)
            return event.payload["account"]["account_id"]

        found = await asyncio.gather(*(wait(n, trigger) for n, trigger in enumerate(triggers)))
        await manager.stop_all()
        return found

    assert asyncio.run(run()) == ["acc_1", "acc_2", "acc_1"] * 20
    assert polls.count == 4


# -- watching for changes --------------------------------------------------------------------------------

watchers = pytest.mark.skipif(not ASSET_WATCHERS, reason="assets have watchers from Airflow 3.0 on")
BLOCKED = account(status="credentials", can_send=False)
OTHER = account(account_id="acc_2", channel="linkedin")


class StateStore:
    """What Airflow 3.3 gives to a watcher."""

    def __init__(self):
        self.values = {}

    async def aget(self, key):
        return self.values.get(key)

    async def aset(self, key, value):
        assert value is not None
        self.values[key] = json.loads(json.dumps(value))


def watch(answers, store=None, **kwargs):
    """Return the payloads of the events that these polls fire."""
    trigger = SendableAccountEventTrigger(**kwargs)
    trigger.asset_state_store = store

    async def stream():
        for answer in answers:
            yield answer

    async def collect():
        return [event.payload async for event in trigger.filter_shared_stream(stream())]

    return asyncio.run(collect())


@watchers
def test_one_event_per_change_to_sendable():
    shut, both = [BLOCKED], [account(), OTHER]
    assert watch([shut, shut, OPEN, OPEN, shut, OPEN, both], channel="email") == [item(), item()]
    assert watch([[BLOCKED], [BLOCKED, OTHER]], account_id="acc_2") == [OTHER.as_dict()]


@watchers
def test_how_things_stand_at_the_first_look_is_no_change():
    assert watch([OPEN, OPEN]) == []
    assert watch([[BLOCKED]], becomes="blocked") == []


@watchers
def test_a_second_sendable_account_of_a_channel_is_no_change_to_sendable():
    assert watch([[], OPEN, [account(), account(account_id="acc_3")]]) == [item()]


@watchers
def test_an_event_for_each_account_that_fell_out():
    third = account(account_id="acc_3")
    assert watch([[account(), third], [BLOCKED, third], [BLOCKED], [BLOCKED], [BLOCKED]], becomes="blocked") == [
        {**BLOCKED.as_dict(), "blocked_reason": BLOCKED.blocked_reason},
        {"account_id": "acc_3", "blocked_reason": "it is not connected any more"},
    ]


@watchers
def test_an_account_that_is_missing_from_one_list_is_not_gone():
    two = [account(), account(account_id="acc_3")]
    for becomes in ("blocked", "sendable"):
        assert watch([two, [], two, two[:1], two, [], LIMITED, two], becomes=becomes) == []
    gone = watch([two, [], LIMITED, [], []], becomes="blocked")
    assert [payload["account_id"] for payload in gone] == ["acc_1", "acc_3"]


@watchers
def test_an_account_that_is_blocked_in_the_list_is_believed_at_once():
    assert len(watch([OPEN, [BLOCKED]], becomes="blocked")) == 1


@watchers
@pytest.mark.parametrize("heard", range(1, 6))
def test_a_crash_after_some_events_repeats_the_last_one_and_loses_none(heard):
    five = [account(account_id=f"a{n}") for n in range(5)]
    fallen = [account(account_id=f"a{n}", can_send=False) for n in range(5)]
    store = StateStore()
    watch([five], store, becomes="blocked")

    async def crash():
        trigger = SendableAccountEventTrigger(becomes="blocked")
        trigger.asset_state_store = store

        async def stream():
            yield fallen

        events = trigger.filter_shared_stream(stream())
        return [(await anext(events)).payload["account_id"] for _ in range(heard)]

    told = asyncio.run(crash())
    told += [payload["account_id"] for payload in watch([fallen], store, becomes="blocked")]
    assert told == [f"a{n}" for n in (*range(heard), *range(heard - 1, 5))]


@watchers
def test_an_event_is_remembered_only_when_the_triggerer_has_handed_it_on(monkeypatch):
    store, order = StateStore(), []
    watch([[BLOCKED]], store)

    async def nap(seconds):
        order.append((seconds > 2, list(store.values.values())))

    monkeypatch.setattr("airflow_provider_revor.triggers.connect.asyncio.sleep", nap)
    monkeypatch.setattr(SendableAccountEventTrigger, "trigger_id", 7, raising=False)
    trigger = SendableAccountEventTrigger()
    trigger.asset_state_store, trigger.trigger_id = store, 7

    async def collect():
        async def stream():
            yield OPEN

        return [event async for event in trigger.filter_shared_stream(stream())]

    assert len(asyncio.run(collect())) == 1
    assert order == [(True, [[]])]
    assert list(store.values.values()) == [["acc_1"]]


@watchers
def test_a_retry_after_outlasts_a_restart(polls):
    store = StateStore()
    watch([e.RevorRateLimitError("limited", retry_after=3600.0)], store)
    (not_before,) = store.values.values()
    assert 3590 < not_before - time.time() <= 3600

    async def restarted():
        trigger = SendableAccountEventTrigger()
        trigger.asset_state_store = store
        stream = trigger.open_shared_stream(trigger.serialize()[1])
        first = asyncio.create_task(anext(trigger.filter_shared_stream(stream)))
        while not polls.count:
            await asyncio.sleep(0)
        first.cancel()

    asyncio.run(restarted())
    assert any(3590 < nap < 3970 for nap in polls.naps)


@watchers
def test_a_short_retry_after_is_not_kept():
    store = StateStore()
    watch([e.RevorRateLimitError("limited", retry_after=30.0)], store)
    assert store.values == {}


@watchers
@pytest.mark.parametrize("kept", [{"x": 1}, "acc_1", 7])
def test_a_state_that_is_none_of_ours_is_no_state(kept):
    store = StateStore()
    watch([OPEN], store)
    store.values = dict.fromkeys(store.values, kept)
    assert watch([[BLOCKED], OPEN], store) == [item()]


@watchers
def test_faults_neither_end_a_watcher_nor_count_as_a_change():
    faults = [LIMITED, e.RevorAuthenticationError("x"), ZeroDivisionError("x")]
    assert watch([OPEN, *faults, OPEN, [BLOCKED], *faults, [BLOCKED], OPEN]) == [item()]


@watchers
def test_a_restart_tells_nothing_twice_and_misses_nothing():
    store = StateStore()
    assert watch([[BLOCKED], OPEN], store) == [item()]
    assert watch([OPEN, OPEN], store) == []
    assert watch([[BLOCKED]], store) == []
    assert watch([OPEN], store) == [item()]


@watchers
def test_several_watchers_of_an_asset_keep_their_states_apart():
    store = StateStore()
    watch([[BLOCKED]], store)
    watch([OPEN], store, becomes="blocked")
    watch([OPEN], store, channel="linkedin")
    assert len(store.values) == 3
    assert watch([OPEN], store) == [item()]


@watchers
def test_a_state_store_that_fails_does_not_end_the_watcher():
    class Broken:
        async def aget(self, key):
            raise RuntimeError("no state")

        aset = aget

    assert watch([[BLOCKED], OPEN], Broken()) == [item()]


@watchers
def test_a_watcher_shares_the_poll_of_the_gates():
    assert SendableAccountEventTrigger(channel="email").shared_stream_key() == (
        SendableAccountTrigger(account_id="a").shared_stream_key()
    )


@watchers
def test_a_watcher_is_made_again_from_plain_json():
    trigger = SendableAccountEventTrigger(channel="email", becomes="blocked", poke_interval=timedelta(seconds=5))
    path, kwargs = trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert SendableAccountEventTrigger(**kwargs).serialize() == (path, kwargs)


@watchers
@pytest.mark.parametrize(
    "kwargs",
    [
        {"channel": "sms"},
        {"becomes": "open"},
        {"account_id": ""},
        *({"poke_interval": value} for value in (-1, float("nan"), float("inf"), timedelta(seconds=-1), "60")),
    ],
)
def test_a_watcher_with_a_bad_argument_fails_when_the_dag_is_parsed(kwargs):
    with pytest.raises(ValueError, match=r"sms|open|account_id|poke_interval"):
        SendableAccountEventTrigger(**kwargs)


@watchers
@pytest.mark.parametrize(
    ("interval", "pause"), [(0, 0.1), (10**12, 315_360_000), (timedelta.max, 315_360_000)], ids=["0", "huge", "max"]
)
def test_an_extreme_interval_of_a_watcher_is_an_interval(polls, interval, pause):
    trigger = SendableAccountEventTrigger(poke_interval=interval)
    assert SendableAccountEventTrigger(**trigger.serialize()[1]).serialize() == trigger.serialize()

    async def second_poll():
        stream = trigger.open_shared_stream(trigger.serialize()[1])
        await anext(stream), await anext(stream)

    asyncio.run(second_poll())
    assert polls.naps[0] == 0
    assert pause <= polls.naps[1] <= pause * 1.1


@pytest.mark.skipif(ASSET_WATCHERS, reason="this Airflow has asset watchers")
def test_without_asset_watchers_it_says_what_it_takes():
    with pytest.raises(e.RevorConfigurationError, match=r"Airflow 3\.0\+"):
        SendableAccountEventTrigger()


@pytest.mark.skipif(not SHARED_POLLS, reason="a gate's trigger is like any other below Airflow 3.3")
def test_a_gate_keeps_its_tasks_triggerer_queue(monkeypatch):
    """By Airflow's own code: its base class of shared streams is for asset watchers, which have no task."""
    from airflow.sdk.execution_time.task_runner import _defer_task

    monkeypatch.setenv("AIRFLOW__TRIGGERER__QUEUES_ENABLED", "True")
    deferred = TaskDeferred(trigger=SendableAccountTrigger(channel="email"), method_name="execute_complete")
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", task=SimpleNamespace(queue="special"))
    message, _ = _defer_task(deferred, ti, Mock())
    assert message.queue == "special"
