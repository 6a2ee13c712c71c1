"""
A batch, once means once: random lives of one task that sends to several people, and what may not happen in any of them.

Workers and triggerers may be killed between any two steps, and a person may clear the task at any time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from revor_model import DAY, ENDS, LIVE, Crash, Revor

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.triggers.xcoms import TaskXComs

PEOPLE = [f"{name}@example.com" for name in ("ada", "bob", "cyd", "dot")]


class BatchOnceMeansOnce(RuleBasedStateMachine):
    has_store = True

    @initialize(
        offset=st.sampled_from([-DAY, -2.3, 0, 2.3, DAY]),
        dated=st.sampled_from([True, True, False]),
        retries=st.integers(1, 3),
        wait=st.booleans(),
    )
    def begin(self, offset, dated, retries, wait):
        self.patch = pytest.MonkeyPatch()
        self.clock = 1_700_000_000.25
        self.patch.setattr(time, "time", lambda: self.clock)
        self.patch.setattr(time, "monotonic", lambda: self.clock)
        self.patch.setattr(time, "sleep", self.sleep)
        self.sleep_really = asyncio.sleep
        self.patch.setattr(asyncio, "sleep", self.sleep_in_the_triggerer)
        self.patch.setattr("asgiref.sync.sync_to_async", lambda function: self.in_no_thread(function))
        self.patch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", json.dumps({"conn_type": "revor", "password": "sk-revor-x"}))
        self.revor = Revor(offset, dated)
        self.patch.setattr(RevorHook, "create_outreach_dispatch", lambda hook, *args, **body: self.post(*args, **body))
        self.patch.setattr(RevorHook, "get_outreach_job", lambda hook, job_id: self.call(self.revor.get, job_id))
        self.patch.setattr(RevorHook, "aget_outreach_job", lambda hook, job_id: self.aget(job_id))
        self.patch.setattr("airflow_provider_revor.triggers.batch._SAVE_EVERY", 0)
        self.xcoms, self.store = {}, {}
        self.patch.setattr(TaskXComs, "get", lambda _, key: json.loads(json.dumps(self.xcoms.get(key))))
        self.patch.setattr(TaskXComs, "set", lambda _, key, value: self.push(key, value))
        self.people = [*PEOPLE, PEOPLE[0].upper()]
        self.retries, self.wait, self.text, self.account = retries, wait, "Hello", "acc_1"
        self.try_number, self.max_tries = 0, retries
        self.state, self.cleared, self.deferred = "none", True, None
        self.steps_to_crash = self.ends_while_waiting = self.loses = None
        self.unknown_account = set()
        self.authorised = {}
        self.created = Counter()
        self.broken_store = False

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()

    # -- the world -------------------------------------------------------------------------------------

    def sleep(self, seconds):
        self.clock += seconds
        if self.ends_while_waiting:
            for number, job_id in enumerate(self.revor.jobs):
                self.revor.end(job_id, *self.ends_while_waiting[number % len(self.ends_while_waiting)])

    async def sleep_in_the_triggerer(self, seconds):
        self.sleep(seconds)
        await self.sleep_really(0)

    @staticmethod
    def in_no_thread(function):
        async def call(*args):
            return function(*args)

        return call

    def step(self):
        """One of the points between which a process may be killed."""
        if self.steps_to_crash is not None:
            self.steps_to_crash -= 1
            if self.steps_to_crash < 0:
                raise Crash

    def call(self, function, *args):
        self.step()
        self.clock += 0.1
        result = function(*args)
        self.step()
        return result

    async def aget(self, job_id):
        return self.call(self.revor.get, job_id)

    def push(self, key, value):
        self.step()
        self.xcoms[key] = json.loads(json.dumps(value))

    def post(self, account_id, channel, recipient, content, *, idempotency_key, **body):
        address = recipient["address"].lower()
        if address in self.unknown_account:
            raise e.RevorNotFoundError("no such account", code="account_not_found", status_code=404)
        before = dict(self.revor.jobs)
        try:
            job = self.call(
                self.revor.post, address, json.dumps([account_id, recipient, content, body]), idempotency_key
            )
        finally:
            for _ in self.revor.jobs.keys() - before.keys():
                self.check_new_job(address, before)
        if self.loses == address:
            self.loses = None
            self.clock += 30
            raise e.RevorServerError("lost", status_code=502)
        return job

    def check_new_job(self, address, before):
        self.created[address] += 1
        assert self.created[address] == 1, "two new jobs for a person in one try"
        mine = [one for one in before.values() if one["address"] == address]
        if not mine:
            return
        assert all(one["status"] not in LIVE for one in mine), "a person is written to twice"
        error = mine[-1]["error"] or {}
        may_help = error.get("retryable") or "timeout" in error.get("code", "")
        # A clear authorises one message to each; if its first try did not come so far, a later one may complete it.
        assert may_help or len(mine) in self.authorised.get(address, ()), "an automatic retry sent"

    # -- tries -----------------------------------------------------------------------------------------

    def operator(self):
        return OutreachBatchOperator(
            task_id="send",
            messages=[
                {
                    "reference": f"crm-{number}",
                    "account_id": self.account,
                    "channel": "email",
                    "recipient": {"address": address},
                    "content": {"subject": "Hello", "text": self.text},
                }
                for number, address in enumerate(self.people)
            ],
            wait_for_completion=self.wait,
            poke_interval=30,
            timeout=1000,
            retries=self.retries,
        )

    def context(self):
        ti = SimpleNamespace(
            dag_id="d",
            run_id="r",
            task_id="send",
            map_index=-1,
            try_number=self.try_number,
            max_tries=self.max_tries,
            xcom_push=self.push,
        )
        return {"ti": ti, "task_state_store": self.state_store()} if self.has_store else {"ti": ti}

    def state_store(self):
        def get(key):
            self.step()
            if self.broken_store:
                raise OSError("The API server is away.")
            return self.store.get(key)

        def put(key, value, retention):
            assert retention == timedelta.max
            self.step()
            self.store[key] = json.loads(json.dumps(value))
            self.step()

        return SimpleNamespace(get=get, set=put)

    def attempt(self, run):
        try:
            summary = run()
        except TaskDeferred as deferred:
            self.state, self.deferred = "deferred", deferred.trigger.serialize()
            return
        except AirflowFailException:
            retry = False
        except (Crash, e.RevorBatchError, e.RevorTransientError, e.RevorJobTimeoutError):
            retry = True
        else:
            self.check_summary(summary)
            assert summary["failed"] == 0
            self.state = "success"
            return
        finally:
            self.steps_to_crash = None
        self.deferred = None
        self.state = "up_for_retry" if retry and self.try_number <= self.max_tries else "failed"

    def check_summary(self, summary):
        last = {one["address"]: one["status"] for one in self.revor.jobs.values()}
        reached = sum(last.get(address) in (("succeeded",) if self.wait else LIVE) for address in PEOPLE)
        assert summary["sent"] + summary["accepted"] == reached, "a summary that is not true"
        assert (summary["total"], summary["skipped"]) == (5, 1)
        assert not self.wait or not summary["accepted"]

    @rule(
        crash=st.none() | st.integers(0, 40),
        at_once=st.none() | st.sampled_from(ENDS),
        loses=st.none() | st.sampled_from(PEOPLE),
    )
    def run(self, crash, at_once, loses):
        """Airflow runs the task if it is due."""
        if self.state not in ("none", "up_for_retry"):
            return
        self.steps_to_crash, self.revor.at_once, self.loses = crash, at_once, loses
        self.ends_while_waiting = None
        self.try_number += 1
        self.created.clear()
        self.xcoms.clear()
        if self.cleared:
            for address in PEOPLE:
                jobs = [one for one in self.revor.jobs.values() if one["address"] == address]
                self.authorised.setdefault(address, set()).add(len(jobs))
        self.cleared = False
        self.attempt(lambda: self.operator().execute(self.context()))
        self.loses = None

    @precondition(lambda self: self.state == "deferred")
    @rule(
        kills=st.lists(st.integers(0, 12), max_size=3),
        ends=st.lists(st.sampled_from(ENDS), min_size=1, max_size=4),
        crash=st.none() | st.integers(0, 12),
    )
    def the_trigger_runs(self, kills, ends, crash):
        """Triggerers are killed, the last one comes to an end, and a worker goes on."""
        self.ends_while_waiting = ends
        for steps in (*kills, None):
            self.steps_to_crash = steps
            _, kwargs = self.deferred
            kwargs = json.loads(json.dumps(kwargs))
            event = asyncio.run(self.first_event(kwargs))
            if event is not None:
                break
        assert event is not None
        self.steps_to_crash = crash
        payload = json.loads(json.dumps(event.payload))
        self.attempt(lambda: self.operator().execute_complete(self.context(), payload))
        summary = self.xcoms.get("return_value")
        if self.state == "failed" and crash is None and payload["status"] == "success":
            self.check_summary(summary)

    async def first_event(self, kwargs):
        from airflow_provider_revor.triggers.batch import OutreachBatchTrigger

        try:
            return await anext(aiter(OutreachBatchTrigger(**kwargs).run()))
        except Crash:
            return None

    @rule()
    def clear(self):
        """A person clears the task, maybe while it waits."""
        if self.try_number:
            self.max_tries = self.try_number + self.retries
            self.state, self.cleared, self.deferred = "none", True, None

    @rule(crash=st.none() | st.integers(0, 40), at_once=st.none() | st.sampled_from(ENDS))
    def clear_and_run(self, crash, at_once):
        self.clear()
        self.run(crash, at_once, None)

    @precondition(lambda self: self.has_store)
    @rule()
    def the_store_cannot_be_reached_for_a_try(self):
        self.broken_store = True
        self.run(None, None, None)
        self.broken_store = False

    # -- what people and Revor do meanwhile ------------------------------------------------------------

    @rule(ends=st.lists(st.sampled_from(ENDS), min_size=1, max_size=4))
    def jobs_end(self, ends):
        for number, job_id in enumerate(self.revor.jobs):
            self.revor.end(job_id, *ends[number % len(ends)])

    @rule(seconds=st.sampled_from([1, 10, 3600, DAY]))
    def time_passes(self, seconds):
        self.clock += seconds

    # What a clear of a list in another order, or the trigger, goes by is not its place.
    @precondition(lambda self: self.state != "deferred")
    @rule()
    def the_list_is_generated_again_in_another_order(self):
        self.people.reverse()

    @rule(text=st.sampled_from(["Hello", "Corrected"]), account=st.sampled_from(["acc_1", "acc_2"]))
    def the_message_changes(self, text, account):
        self.text, self.account = text, account

    @rule(people=st.sets(st.sampled_from(PEOPLE), max_size=2))
    def accounts_come_and_go(self, people):
        self.unknown_account = people

    @invariant()
    def nobody_is_reached_twice(self):
        for address in PEOPLE:
            jobs = getattr(self, "revor", None) and self.revor.jobs.values()
            live = [one for one in jobs or () if one["address"] == address and one["status"] in LIVE]
            assert len(live) <= 1, "a person is written to twice"


class BatchOnceMeansOnceByKeysAlone(BatchOnceMeansOnce):
    """Below Airflow 3.3 there is no store: Revor's memory of keys must do."""

    has_store = False


common = settings(max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestBatchOnceMeansOnce = BatchOnceMeansOnce.TestCase
TestBatchOnceMeansOnce.settings = common
TestBatchOnceMeansOnceByKeysAlone = BatchOnceMeansOnceByKeysAlone.TestCase
TestBatchOnceMeansOnceByKeysAlone.settings = common
