"""Two tasks of a campaign write the ledger at the same moment, in any order: one message each, and true verdicts."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from revor_model import DAY, Revor

from airflow_provider_revor import campaign as ledgers
from airflow_provider_revor import exceptions as e
from airflow_provider_revor.campaign import CampaignLedger, Entry
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.rules.batch import End
from airflow_provider_revor.version_compat import ASSET_STATE_STORE

pytestmark = pytest.mark.skipif(not ASSET_STATE_STORE, reason="the ledger is of Airflow 3.3+")

LONGEST = 60


class TakingTurns:
    """Threads of which one runs at a time: each stops before it asks anything of others."""

    def __init__(self):
        self.thread = threading.local()
        self.gates = [threading.Semaphore(0), threading.Semaphore(0)]
        self.back = threading.Semaphore(0)
        self.ended = set()
        self.results = [None, None]

    def turn(self):
        if (number := getattr(self.thread, "number", None)) is not None:
            self.back.release()
            assert self.gates[number].acquire(timeout=LONGEST)

    def run(self, functions, order):
        threads = [threading.Thread(target=self._run, args=(*one,), daemon=True) for one in enumerate(functions)]
        for thread in threads:
            thread.start()
        for number in order:
            self._go_on(number)
        for number in range(len(functions)):
            while number not in self.ended:
                self._go_on(number)
        for thread in threads:
            thread.join(LONGEST)
        for result in self.results:
            if isinstance(result, BaseException):
                raise result
        return self.results

    def _go_on(self, number):
        if number not in self.ended:
            self.gates[number].release()
            assert self.back.acquire(timeout=LONGEST)

    def _run(self, number, function):
        self.thread.number = number
        assert self.gates[number].acquire(timeout=LONGEST)
        try:
            self.results[number] = function()
        except BaseException as error:
            self.results[number] = error
        finally:
            self.ended.add(number)
            self.back.release()


class World:
    """A Revor, and a ledger of which all people are one value: whoever writes it may drop what others wrote."""

    def __init__(self, patch):
        self.turns, self.revor, self.values = TakingTurns(), Revor(0, dated=True), {}
        self.clock = 1_700_000_000.25
        patch.setattr(time, "time", lambda: self.clock)
        patch.setattr(time, "sleep", lambda seconds: None)
        patch.setattr(ledgers, "shard_of", lambda who: 0)
        patch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", json.dumps({"conn_type": "revor", "password": "sk-revor-x"}))
        patch.setattr(RevorHook, "create_outreach_dispatch", lambda hook, *args, **body: self.post(*args, **body))
        patch.setattr(RevorHook, "get_outreach_job", lambda hook, job_id: self.revor.get(job_id))

    def post(self, account_id, channel, recipient, content, *, idempotency_key, **body):
        self.turns.turn()
        return self.revor.post(recipient["address"], json.dumps(content), idempotency_key)

    def get(self, key):
        self.turns.turn()
        return json.loads(self.values.get(key, "null"))

    def set(self, key, value):
        self.turns.turn()
        self.values[key] = json.dumps(value)

    def __getitem__(self, asset):
        return self

    def batch(self, run_id, people, *, text="Hello", try_number=1):
        """Return what runs one try of a batch, the first since a person cleared it, and returns its rows."""
        message = {"account_id": "acc_1", "channel": "email", "content": {"subject": "Hello", "text": text}}
        task = OutreachBatchOperator(
            task_id="send",
            messages=[{**message, "reference": who, "recipient": {"address": f"{who}@example.com"}} for who in people],
            campaign="spring",
            wait_for_completion=False,
        )
        pushed = {}
        ti = SimpleNamespace(
            dag_id="d",
            run_id=run_id,
            task_id="send",
            map_index=-1,
            try_number=try_number,
            max_tries=try_number - 1,
            xcom_push=lambda key, value: pushed.update({key: value}),
        )

        def run():
            try:
                task.execute({"ti": ti, "asset_state_store": self})
            except e.RevorBatchFailedError:
                assert pushed["return_value"]["failed"]
            return {row["reference"]: row for row in pushed["jobs"]}

        return run

    def jobs_of(self, who):
        return [one for one in self.revor.jobs.values() if one["address"] == f"{who}@example.com"]

    def jobs_end(self):
        self.clock += DAY
        for job_id in self.revor.jobs:
            self.revor.end(job_id, "succeeded", None)
        self.clock += DAY


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, 1), max_size=40), at_once=st.booleans())
def test_in_any_order_each_person_gets_one_message_and_later_runs_skip_all(order, at_once):
    with pytest.MonkeyPatch.context() as patch:
        world = World(patch)
        world.revor.at_once = ("succeeded", None) if at_once else None
        first, second = world.turns.run(
            [world.batch("r1", ["ada", "bob", "cyd"]), world.batch("r2", ["cyd", "dot", "bob"])], order
        )
        people = {**first, **second}
        assert {row["status"] for row in people.values()} <= {"queued", "succeeded", "skipped"}
        assert all(len(world.jobs_of(who)) == 1 for who in people)
        world.jobs_end()
        # The keys are the backstop, whoever has been dropped from the ledger; with another text, too.
        for run_id, text in (("r3", "Hello"), ("r4", "Another"), ("r5", "Hello")):
            rows = world.batch(run_id, people, text=text)()
            assert {row["code"] for row in rows.values()} == {"already_written_to"}
        assert len(world.revor.jobs) == 4


def orders_of_two_writes():
    """Each task reads, writes and reads again: where one has read before the other wrote, and writes after it."""
    return [
        pytest.param([0, 1, 0, 1], id="the-first-is-dropped"),
        pytest.param([1, 0, 1, 0], id="the-second-is-dropped"),
    ]


@pytest.mark.parametrize("order", orders_of_two_writes())
def test_what_another_task_has_dropped_is_entered_again(world, order):
    ada, dot = Entry(1, "job_1", 1, "a"), Entry(1, "job_2", 2, "b", End("succeeded"))

    def writes(who, entry):
        ledger = CampaignLedger(world, "spring")
        ledger.note(who, entry)
        return ledger.save

    # The first turn of each only begins it.
    world.turns.run([writes("person-a", ada), writes("person-b", dot)], [0, 1, *order])
    ledger = CampaignLedger(world, "spring")
    assert {who: ledger.find(who) for who in ("person-a", "person-b")} == {"person-a": ada, "person-b": dot}


@pytest.mark.parametrize("order", orders_of_two_writes())
def test_somebody_who_was_struck_meanwhile_stays_struck(world, order):
    ledger = CampaignLedger(world, "spring")
    ledger.note(ledgers.person_digest({"address": "ada@example.com"}), Entry(1, "job_1", 1, "a"))
    ledger.save()
    other = CampaignLedger(world, "spring")
    other.note("person-b", Entry(1, "job_2", 2, "b"))
    striking = CampaignLedger(world, "spring")
    assert "ada@example.com" in striking
    world.turns.run([lambda: striking.strike("ada@example.com"), other.save], [0, 1, *order])
    ledger = CampaignLedger(world, "spring")
    assert "ada@example.com" not in ledger
    assert ledger.find("person-b")


def test_who_was_written_to_after_a_failure_is_not_told_as_failed(world):
    """A clear has sent again, and another task drops that from the ledger, where the failure comes back."""
    world.revor.at_once = ("failed", {"code": "no_mailbox", "retryable": False})
    world.batch("r1", ["ada"])()
    assert world.batch("r2", ["ada"])()["ada"]["code"] == "already_failed"
    world.revor.at_once = None
    world.clock += DAY
    again, other = world.batch("r1", ["ada"], try_number=2), world.batch("r3", ["dot"])
    writes = []
    world.set = lambda key, value, write=world.set: writes.append(threading.get_ident()) or write(key, value)
    # The other task has read the ledger, and writes it right after this one.
    until_it_writes, until_this_one_has_written = [1] * 4, [0] * 5
    world.turns.run([again, other], [*until_it_writes, *until_this_one_has_written, 1, 1])
    first, second, *rest = writes
    assert first != second, "the other one's write came between"
    assert rest, "what it dropped is written again"
    assert world.batch("r4", ["ada"])()["ada"]["code"] == "already_written_to"
    assert len(world.jobs_of("ada")) == 2
