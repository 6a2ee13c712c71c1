from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from factories import account, item

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.triggers.connect import SendableAccountEventTrigger, SendableAccountTrigger
from airflow_provider_revor.version_compat import ASSET_WATCHERS, SHARED_POLLS

SHUT, OPEN = [account(can_send=False)], [account()]
LIMITED = e.RevorRateLimitError("limited", status_code=429, retry_after=300.0)


@pytest.fixture
def polls(monkeypatch):
    """What the polls get, one after the other; the last one for ever. It counts them and the naps between."""

    polls = SimpleNamespace(answers=[SHUT], count=0, naps=[])

    async def list_accounts(hook, **_):
        assert hook.max_retries == 0
        answer = polls.answers[min(polls.count, len(polls.answers) - 1)]
        polls.count += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    sleep = asyncio.sleep

    async def nap(seconds):
        polls.naps.append(seconds)
        await sleep(0)

    monkeypatch.setattr(RevorHook, "alist_connect_accounts", list_accounts)
    monkeypatch.setattr("airflow_provider_revor.triggers.polling.asyncio.sleep", nap)
    return polls


def events(trigger):
    async def run():
        return [event async for event in trigger.run()]

    return asyncio.run(run())


def payload(trigger):
    (event,) = events(trigger)
    return event.payload


def test_it_can_be_made_again_from_plain_json_without_secrets(connect):
    connect()
    trigger = SendableAccountTrigger(channel="email", account_id="a", poke_interval=5.0, deadline=9.5, last_logged="x")
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_revor.triggers.connect.SendableAccountTrigger"
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert SendableAccountTrigger(**kwargs).serialize() == (path, kwargs)
    assert "canary" not in repr(trigger)


def test_it_fires_once_an_account_can_send(polls):
    polls.answers = [SHUT, SHUT, OPEN]
    assert payload(SendableAccountTrigger(poke_interval=40)) == {"status": "success", "account": item()}
    assert polls.count == 3


def test_it_sleeps_before_every_poll_and_never_less_than_asked(polls):
    polls.answers = [SHUT] * 50 + [OPEN]
    payload(SendableAccountTrigger(poke_interval=40))
    assert len(polls.naps) == polls.count == 51
    assert polls.naps[0] == 0
    assert all(40 <= nap <= 44 for nap in polls.naps[1:])
    assert len(set(polls.naps)) > 2


@pytest.mark.parametrize(
    "fault",
    [e.RevorRateLimitError("x"), e.RevorServerError("x"), e.RevorConnectionError("x"), e.RevorResponseError("x")],
)
def test_what_heals_is_waited_out(polls, fault):
    polls.answers = [fault, fault, OPEN]
    assert payload(SendableAccountTrigger(poke_interval=40))["status"] == "success"
    assert (polls.count, len(polls.naps)) == (3, 3)


def test_the_next_poll_is_not_before_retry_after(polls):
    polls.answers = [LIMITED, OPEN]
    payload(SendableAccountTrigger(poke_interval=40))
    assert polls.naps[1] >= 300


def test_a_retry_after_beyond_reason_does_not_put_all_gates_to_sleep_for_good(polls):
    polls.answers = [e.RevorServerError("x", retry_after=10.0**11), OPEN]
    payload(SendableAccountTrigger(poke_interval=40))
    assert 86_400 <= polls.naps[1] < 100_000


def test_the_first_poll_waits_as_long_as_the_worker_says(polls):
    polls.answers = [OPEN]
    payload(SendableAccountTrigger(poke_interval=40, first_poll_at=time.time() + 1_000))
    assert polls.naps[0] > 990


@pytest.mark.parametrize(
    "fault", [e.RevorAuthenticationError("x"), e.RevorPermissionError("x"), e.RevorConfigurationError("x")]
)
def test_what_does_not_heal_ends_the_wait_with_its_own_class(polls, fault):
    polls.answers = [SHUT, fault]
    ended = payload(SendableAccountTrigger(poke_interval=40))
    assert ended["status"] == "error"
    assert type(e.error_from_dict(ended["error"])) is type(fault)


def test_a_gate_does_not_fire_before_the_scheduler_knows_that_its_worker_deferred_it(polls):
    polls.answers = [OPEN]
    soon = time.time() + 1
    for first_poll_at, trigger_id, held in [(soon, 7, True), (soon, None, False), (None, 7, False)]:
        polls.naps.clear()
        trigger = SendableAccountTrigger(first_poll_at=first_poll_at)
        trigger.trigger_id = trigger_id
        assert payload(trigger)["status"] == "success"
        assert any(nap > 9 for nap in polls.naps) is held


def test_a_connection_that_is_not_found_is_borne_for_five_minutes(polls, monkeypatch):
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(time, "time", lambda: clock.now + sum(polls.naps))
    missing = e.RevorMissingConnectionError("x")
    polls.answers = [SHUT, *4 * [missing], SHUT, *4 * [missing], OPEN]
    assert payload(SendableAccountTrigger())["status"] == "success"
    polls.answers, polls.count = [SHUT, missing], 0
    assert payload(SendableAccountTrigger())["error"]["error"] == "RevorMissingConnectionError"
    assert 5 <= polls.count <= 7


@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), TimeoutError("bug")])
def test_what_nobody_foresaw_fails_the_trigger_instead_of_looping(polls, bug):
    polls.answers = [bug]
    with pytest.raises(RuntimeError, match=f"A poll failed unexpectedly: {type(bug).__name__}: bug"):
        events(SendableAccountTrigger(poke_interval=40, deadline=time.time() + 600))


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


def test_the_deadline_ends_the_wait_even_between_polls():
    now = time.time()
    waiting = {"poke_interval": 3600, "first_poll_at": now + 3600}
    assert payload(SendableAccountTrigger(**waiting, deadline=now + 0.05)) == {"status": "timeout"}
    assert payload(SendableAccountTrigger(**waiting, deadline=now - 5)) == {"status": "timeout"}
    running_out = SendableAccountTrigger(**waiting, deadline=now, deadline_status="execution_timeout")
    assert payload(running_out) == {"status": "execution_timeout"}


def test_an_interval_of_0_still_pauses(polls):
    polls.answers = [SHUT] * 5 + [OPEN]
    payload(SendableAccountTrigger(poke_interval=0))
    assert all(nap >= 0.1 for nap in polls.naps[1:])


def test_an_unusable_connection_is_the_end(connect):
    connect(password="")
    assert payload(SendableAccountTrigger())["error"]["error"] == "RevorConfigurationError"


def test_a_missing_connection_is_logged_once(airflow_db, caplog, monkeypatch):
    monkeypatch.setattr(SendableAccountTrigger, "log", logging.getLogger("trigger"))
    gone = SendableAccountTrigger(revor_conn_id="nowhere", poke_interval=0.1, deadline=time.time() + 1)
    with caplog.at_level(logging.INFO, "trigger"):
        assert payload(gone) == {"status": "timeout"}
    (told,) = [record.getMessage() for record in caplog.records if record.name == "trigger"]
    assert "There is no Airflow connection 'nowhere'" in told


def test_it_logs_once_per_change_not_what_the_worker_told_and_nothing_personal(polls, caplog, monkeypatch):
    other = [account(status="credentials")]
    polls.answers = [SHUT, SHUT, other, other, LIMITED, LIMITED, OPEN]
    trigger = SendableAccountTrigger(poke_interval=40)
    monkeypatch.setattr(SendableAccountTrigger, "log", logging.getLogger("trigger"))
    with caplog.at_level(logging.INFO):
        (event,) = events(trigger)
    told = [r.getMessage() for r in caplog.records if r.name == "trigger"]
    assert len(told) == 4
    assert "can_send is false" in told[0]
    assert "reconnect it" in told[1]
    assert "limited" in told[2]
    assert told[3] == "Account acc_1 can send on email."
    # This is what the triggerer itself logs at INFO.
    assert "ada@example.com" not in f"{caplog.text}{event} {event!r}"


@pytest.mark.parametrize("account_id", [None, "", "None"])
def test_an_account_that_rendered_to_nothing_is_an_error_not_any_account(polls, account_id):
    polls.answers = [OPEN]
    ended = payload(SendableAccountTrigger(account_id=account_id, any_account=False))
    assert ended["error"]["error"] == "RevorValueError"


def test_silent_fail_waits_out_what_it_would_when_poking(polls):
    polls.answers = [e.RevorNotFoundError("x"), ZeroDivisionError("x"), OPEN]
    assert payload(SendableAccountTrigger(silent_fail=True))["status"] == "success"
    polls.answers, polls.count = [e.RevorAuthenticationError("x"), OPEN], 0
    assert payload(SendableAccountTrigger(silent_fail=True))["status"] == "error"


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


def test_a_gate_keeps_its_tasks_triggerer_queue():
    """Airflow's base class of shared streams is made for asset watchers, which have no task."""
    for name in ("supports_triggerer_queue", "trigger_queue_inherited_from_task"):
        assert getattr(SendableAccountTrigger, name) is True
