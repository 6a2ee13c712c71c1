"""Many people's records are few requests to Airflow, and no value is too large for its store."""

from __future__ import annotations

import json
import logging

import pytest
from outreach_tasks import Store

from airflow_provider_revor.operators.batch.memory import BatchMemory
from airflow_provider_revor.rules.batch import End
from airflow_provider_revor.rules.sending import Attempt

LOG = logging.getLogger("memory")
MANY = 10_000


class CountingStore(Store):
    calls = 0
    largest = 0

    def get(self, key):
        self.calls += 1
        return super().get(key)

    def set(self, key, value, *, retention):
        self.calls += 1
        self.largest = max(self.largest, len(json.dumps(value)))
        super().set(key, value, retention=retention)


def attempt(who, **changes):
    made = {"number": 1, "job_id": f"job_{who:032}", "key": f"{who:064}", "message": "m" * 64, "max_tries": 2}
    return Attempt(**{**made, **changes})


def memory(store):
    return BatchMemory({"task_state_store": store}, LOG)


@pytest.fixture(scope="module")
def filled():
    store = CountingStore()
    many = memory(store)
    for begin in range(0, MANY, 50):
        people = range(begin, begin + 50)
        many.announce(attempt(number, job_id=None) for number in people)
        for number in people:
            many.keep(attempt(number, job_id=None))
            many.keep(attempt(number))
    many.save()
    return store


def test_ten_thousand_people_cost_hundreds_of_calls(filled):
    assert filled.calls < 400
    assert filled.largest < 65_535


def test_a_next_try_reads_them_in_few_calls_and_knows_all(filled):
    before = filled.calls
    many = memory(filled)
    assert filled.calls - before < 100
    assert all(many.recall(f"{number:064}") == attempt(number) for number in range(MANY))


def test_their_ends_are_few_calls_too(filled):
    store = CountingStore()
    store.update(filled)
    many = memory(store)
    store.calls = 0
    many.keep_ends({f"job_{number:032}": End("failed", "no_mailbox", True) for number in range(MANY)})
    assert store.calls < 100
    assert store.largest < 65_535
    again = memory(store)
    assert again.end_of(f"{7:064}") == End("failed", "no_mailbox", True)


def test_a_new_attempt_has_no_end_yet():
    store = Store()
    many = memory(store)
    many.keep(attempt(1))
    many.keep_ends({attempt(1).job_id: End("failed")})
    many.keep(attempt(1, max_tries=5))
    assert many.end_of(attempt(1).key) == End("failed")
    many.keep(attempt(1, number=2, job_id="job_x"))
    assert many.end_of(attempt(1).key) is None


def test_what_is_announced_is_known_to_the_next_try_alone():
    store = Store()
    many = memory(store)
    many.announce([attempt(1, job_id=None)])
    many.keep(attempt(1, job_id=None))
    assert many.recall(attempt(1).key) is None
    assert memory(store).recall(attempt(1).key) == attempt(1, job_id=None)
    many.keep(attempt(1))
    assert many.recall(attempt(1).key) == attempt(1)


def test_the_next_key_is_known_before_it_is_used():
    store = Store()
    memory(store).keep(attempt(1, number=3, job_id=None))
    assert memory(store).recall(attempt(1).key).number == 3


def test_a_key_that_a_record_leads_to_is_not_written():
    store = CountingStore()
    many = memory(store)
    many.announce([attempt(1)])
    before = store.calls
    many.keep(attempt(1, number=2, job_id=None))
    many.save()
    assert store.calls == before


@pytest.mark.parametrize("value", [5, {"a": 1}, {"a": [1]}, {"a": [1, "job_1", "m", "?"]}])
def test_a_record_that_cannot_be_read_stays_as_it_is(value, caplog):
    store = Store()
    store["airflow_provider_revor.attempts.0"] = value
    many = memory(store)
    assert many.recall("a") is None
    many.announce([attempt(1)])
    assert store == {"airflow_provider_revor.attempts.0": value}
    assert "cannot be read" in caplog.text


def test_a_store_that_cannot_be_reached_is_reported_once(caplog):
    class Broken(Store):
        def get(self, key):
            raise OSError("away")

    many = BatchMemory({"task_state_store": Broken()}, LOG)
    many.keep(attempt(1))
    many.save()
    assert caplog.text.count("cannot be read") == 1
    assert many.recall(attempt(1).key) == attempt(1)


def test_below_airflow_3_3_nothing_is_kept_across_tries():
    many = BatchMemory({}, LOG)
    many.keep(attempt(1))
    many.save()
    assert BatchMemory({}, LOG).recall(attempt(1).key) is None
