"""What a trigger sees that joins others of its connection, and what that costs: counted, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import traceback
import weakref
from types import SimpleNamespace

import pytest
from factories import account
from virtual import EPOCH, run

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.api.accounts import ConnectAccount
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.rules import gate as gates
from airflow_provider_revor.rules.gate import Snapshot
from airflow_provider_revor.triggers import looks as looking
from airflow_provider_revor.triggers.connect import SendableAccountEventTrigger, SendableAccountTrigger
from airflow_provider_revor.triggers.looks import Looks
from airflow_provider_revor.version_compat import ASSET_WATCHERS, SHARED_POLLS

INTERVAL = 600
BOTH = [account(can_send=False), account(account_id="acc_2", channel="linkedin")]
HOUR = e.RevorRateLimitError("limited", status_code=429, retry_after=3600.0)
MISSING = e.RevorMissingConnectionError("missing")
REVOKED = e.RevorAuthenticationError("revoked", status_code=401)


class Triggerer:
    """Runs triggers as Airflow does, and counts the requests of all of them."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.answer = lambda: list(BOTH)
        self.asked_at = []
        self.reader = None

        async def list_accounts(hook, **_):
            self.asked_at.append(time.time() - EPOCH)
            await asyncio.sleep(0.2)
            answer = self.answer()
            if isinstance(answer, Exception):
                raise answer
            # What a look reads of its connection, it keeps.
            vars(hook)["settings"] = self.reader
            return answer

        async def read(conn_id):
            return looking._digest(self.reader)

        monkeypatch.setattr(RevorHook, "alist_connect_accounts", list_accounts)
        monkeypatch.setattr(looking, "_reader", read)

    def run(self, main):
        async def begin():
            self.manager = self._manager() if SHARED_POLLS else None
            self.tasks = []
            try:
                return await main()
            finally:
                for task in self.tasks:
                    task.cancel()
                await asyncio.gather(*self.tasks, return_exceptions=True)

        return run(self.monkeypatch, begin)

    def _manager(self):
        from airflow.triggers.shared_stream import SharedStreamManager

        return SharedStreamManager(log=logging.getLogger("m"), max_subscriber_queue=1024, ack_timeout=60)

    def start(self, trigger):
        task = asyncio.create_task(self._first_event(len(self.tasks), trigger))
        self.tasks.append(task)
        return task

    def gate(self, channel="email", **kwargs):
        return self.start(SendableAccountTrigger(**{"channel": channel, "poke_interval": INTERVAL, **kwargs}))

    async def _first_event(self, trigger_id, trigger):
        if self.manager is None:
            return (await anext(aiter(trigger.run()))).payload
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                return event.payload
        finally:
            await self.manager.unsubscribe(trigger_id, key)


@pytest.fixture
def triggerer(monkeypatch):
    return Triggerer(monkeypatch)


def opened(task):
    return task.done() and task.result()["status"] == "success"


def test_a_gate_that_joins_sees_at_once_what_the_last_poll_showed(triggerer):
    async def main():
        triggerer.gate()
        await asyncio.sleep(100)
        joiner = triggerer.gate("linkedin", deadline=time.time() + 60)
        await asyncio.sleep(1)
        return opened(joiner)

    assert triggerer.run(main)
    assert triggerer.asked_at == [0]


def deferred_by_a_worker(triggerer):
    triggerer.gate(first_poll_at=time.time() + INTERVAL)


def watching(triggerer):
    triggerer.start(SendableAccountEventTrigger(poke_interval=INTERVAL))


@pytest.mark.parametrize(
    "other",
    [
        deferred_by_a_worker,
        pytest.param(watching, marks=pytest.mark.skipif(not ASSET_WATCHERS, reason="assets have watchers from 3.0 on")),
    ],
)
def test_fifty_gates_that_join_cost_one_request(triggerer, other):
    async def main():
        other(triggerer)
        await asyncio.sleep(10)
        # The latest look, if there is one, is of no more use.
        for look in looking._looks.here.values():
            look._latest = None
        triggerer.asked_at.clear()
        joiners = [triggerer.gate("linkedin", deadline=time.time() + 60) for _ in range(50)]
        await asyncio.sleep(2)
        return all(map(opened, joiners))

    assert triggerer.run(main)
    assert triggerer.asked_at == [10]


def test_however_many_join_there_is_one_request_per_interval(triggerer):
    async def main():
        for n in range(300):
            joiner = triggerer.gate("linkedin" if n % 2 else "email")
            await asyncio.sleep(17)
            assert opened(joiner) is bool(n % 2)

    triggerer.run(main)
    assert len(triggerer.asked_at) <= 1 + 300 * 17 / INTERVAL
    assert all(b - a >= INTERVAL for a, b in zip(triggerer.asked_at, triggerer.asked_at[1:], strict=False))


def test_what_a_joiner_looked_up_counts_for_the_others(triggerer):
    async def main():
        waiting = triggerer.gate(first_poll_at=time.time() + INTERVAL)
        await asyncio.sleep(590)
        triggerer.answer = lambda: [account()]
        joiner = triggerer.gate()
        await asyncio.sleep(100)
        return opened(joiner), opened(waiting)

    assert triggerer.run(main) == (True, True)
    assert triggerer.asked_at == [590]


def test_a_gate_that_a_worker_has_just_deferred_has_looked_already(triggerer):
    async def main():
        triggerer.gate(first_poll_at=time.time() + INTERVAL)
        await asyncio.sleep(INTERVAL - 1)
        return triggerer.asked_at[:]

    assert triggerer.run(main) == []


def test_a_gate_that_a_restart_brings_back_looks_at_once(triggerer):
    async def main():
        old = [triggerer.gate("linkedin", first_poll_at=time.time() - 1000) for _ in range(2)]
        await asyncio.sleep(1)
        return all(map(opened, old))

    assert triggerer.run(main)
    assert triggerer.asked_at == [0]


@pytest.mark.parametrize("trouble", [e.RevorServerError("503", status_code=503), e.RevorConnectionError("refused")])
def test_a_gate_that_joins_after_trouble_looks_for_itself(triggerer, trouble):
    triggerer.answer = lambda: trouble

    async def main():
        triggerer.gate()
        await asyncio.sleep(5)
        triggerer.answer = lambda: [account()]
        joiners = [triggerer.gate(deadline=time.time() + 60) for _ in range(50)]
        await asyncio.sleep(5)
        assert all(opened(joiner) for joiner in joiners)

    triggerer.run(main)
    assert triggerer.asked_at == [0, 5]


def test_a_retry_after_holds_for_all_who_join(triggerer):
    triggerer.answer = lambda: HOUR

    async def main():
        for _ in range(100):
            triggerer.gate()
            await asyncio.sleep(30)
        triggerer.answer = lambda: list(BOTH)
        await asyncio.sleep(2000)

    triggerer.run(main)
    assert triggerer.asked_at[0] == 0
    assert 3600 <= triggerer.asked_at[1] <= 3960


def test_a_retry_after_that_a_worker_met_holds_for_all_who_join(triggerer):
    async def main():
        triggerer.gate(first_poll_at=time.time() + 3600)
        await asyncio.sleep(5)
        triggerer.gate("linkedin")
        await asyncio.sleep(4500)

    triggerer.run(main)
    assert 3600 <= triggerer.asked_at[0] <= 3960


@pytest.mark.parametrize("fault", [REVOKED, MISSING, ZeroDivisionError("bug")])
def test_what_ends_a_wait_is_never_believed_twice(triggerer, fault):
    triggerer.answer = lambda: fault

    async def main():
        triggerer.gate()
        await asyncio.sleep(5)
        triggerer.answer = lambda: list(BOTH)
        joiner = triggerer.gate("linkedin")
        await asyncio.sleep(1)
        return opened(joiner)

    assert triggerer.run(main)
    assert triggerer.asked_at == [0, 5]


def test_a_list_that_another_key_has_read_does_not_count(triggerer):
    triggerer.reader = SimpleNamespace(base_url="https://revor.ai", api_version="v1", api_key="sk-revor-old")

    async def main():
        triggerer.gate()
        await asyncio.sleep(5)
        triggerer.answer = lambda: [account(account_id="acc_new")]
        triggerer.reader = SimpleNamespace(base_url="https://revor.ai", api_version="v1", api_key="sk-revor-new")
        joiners = [triggerer.gate("linkedin"), triggerer.gate()]
        await asyncio.sleep(1)
        return joiners[0].done(), joiners[1].result()["account"]["account_id"]

    assert triggerer.run(main) == (False, "acc_new")
    assert triggerer.asked_at == [0, 5]


def test_an_old_list_does_not_count_and_does_not_stay(triggerer):
    async def main():
        await triggerer.gate("linkedin")
        looks = Looks.of("revor_default", INTERVAL)
        held = weakref.ref(looks._latest.poll)
        await asyncio.sleep(INTERVAL + 1)
        await triggerer.gate("linkedin")
        await asyncio.sleep(2 * INTERVAL + 1)
        gc.collect()
        return held()

    assert triggerer.run(main) is None
    assert len(triggerer.asked_at) == 2


def test_event_loops_share_nothing(triggerer):
    async def main():
        return await triggerer.gate("linkedin")

    assert [triggerer.run(main)["status"] for _ in range(2)] == ["success"] * 2
    assert triggerer.asked_at == [0, 0]


def test_a_gate_that_is_ended_while_it_looks_leaves_the_look_to_others(triggerer):
    async def main():
        first, second = triggerer.gate("linkedin"), triggerer.gate("linkedin")
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.sleep(1)
        return opened(second)

    assert triggerer.run(main)


# -- what is shared --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [HOUR, REVOKED, MISSING, ZeroDivisionError("bug")], ids=lambda x: type(x).__name__)
def test_an_error_that_a_thousand_gates_share_does_not_grow(triggerer, fault):
    fault.__traceback__ = None
    triggerer.answer = lambda: fault

    async def main():
        if ASSET_WATCHERS:
            for n in range(5):
                triggerer.start(SendableAccountEventTrigger(account_id=f"acc_{n}", poke_interval=INTERVAL))
        tasks = [triggerer.gate() for _ in range(1000)]
        await asyncio.sleep(1)
        return len(traceback.extract_tb(fault.__traceback__)), sum(task.done() for task in tasks)

    frames, ended = triggerer.run(main)
    assert frames < 10 * len(triggerer.asked_at)
    assert len(triggerer.asked_at) <= 2
    assert ended == (1000 if fault in (REVOKED,) or isinstance(fault, ZeroDivisionError) else 0)


def test_a_kind_of_gate_searches_and_explains_a_list_once_not_once_per_gate_and_poll(triggerer, monkeypatch):
    calls = {"explained": 0, "judged": 0}
    explain, judge = gates.explain_blocked, ConnectAccount.sendable.fget

    def explained(*args):
        calls["explained"] += 1
        return explain(*args)

    def judged(account):
        calls["judged"] += 1
        return judge(account)

    monkeypatch.setattr(gates, "explain_blocked", explained)
    monkeypatch.setattr(ConnectAccount, "sendable", property(judged))
    many = [account(account_id=f"acc_{n}", can_send=False) for n in range(5000)]
    triggerer.answer = lambda: [account(account_id=one.account_id, can_send=False) for one in many]

    async def main():
        for n in range(200):
            triggerer.gate(["email", None][n % 2])
        await asyncio.sleep(10 * INTERVAL)

    triggerer.run(main)
    assert 8 <= len(triggerer.asked_at) <= 10
    # Two kinds of gates, one list that never changed.
    assert calls["explained"] == 2
    assert calls["judged"] <= 2 * len(many) + 2 * 20
    calls.update(explained=0)
    many.pop()
    triggerer.asked_at.clear()
    triggerer.run(main)
    assert calls["explained"] == 2


def test_a_snapshot_is_searched_by_an_index():
    snapshot = Snapshot(account(account_id=f"acc_{n}") for n in range(1000))
    assert snapshot.view(None, "acc_7") is snapshot.view(None, "acc_7")
    assert [one.account_id for one in snapshot.view(None, "acc_7").candidates] == ["acc_7"]
