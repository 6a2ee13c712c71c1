"""
Once per campaign: random lives of tasks of two Dags and several runs, and what may not happen in any of them.

Dispatches and batches write to the same two people. Each may be killed between any two requests, to Revor or to
Airflow, or be interrupted there by another one that runs as a whole.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from revor_model import DAY, ENDS, LIVE, Crash, Revor

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.campaign import CampaignLedger
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.version_compat import ASSET_STATE_STORE

PEOPLE = ("ada@example.com", "bob@example.com")
CRASHES = st.none() | st.integers(0, 25)


class Task:
    """A task instance, as Airflow counts its tries."""

    def __init__(self, kind, dag_id, run_id, people):
        self.kind, self.dag_id, self.run_id, self.people = kind, dag_id, run_id, list(people)
        self.try_number, self.max_tries, self.state, self.cleared = 0, 1, "none", False
        self.records, self.pushed, self.jobs = {}, {}, set()
        self.created = Counter()
        self.first_after_clear = False


class OncePerCampaign(RuleBasedStateMachine):
    has_stores = True

    @initialize(offset=st.sampled_from([-DAY, -2.3, 0, 2.3, DAY]), dated=st.sampled_from([True, True, False]))
    def begin(self, offset, dated):
        self.patch = pytest.MonkeyPatch()
        self.clock = 1_700_000_000.25
        self.patch.setattr(time, "time", lambda: self.clock)
        self.patch.setattr(time, "monotonic", lambda: self.clock)
        self.patch.setattr(time, "sleep", self.sleep)
        self.patch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", json.dumps({"conn_type": "revor", "password": "sk-revor-x"}))
        self.revor = Revor(offset, dated)
        self.patch.setattr(RevorHook, "create_outreach_dispatch", lambda hook, *args, **body: self.post(*args, **body))
        self.patch.setattr(RevorHook, "get_outreach_job", lambda hook, job_id: self.call(self.revor.get, job_id))
        self.tasks = [
            Task("dispatch", "d1", "r1", PEOPLE[:1]),
            Task("dispatch", "d1", "r2", PEOPLE[:1]),
            Task("batch", "d2", "r1", PEOPLE),
            Task("batch", "d2", "r2", (PEOPLE[1], PEOPLE[0].upper())),
        ]
        self.ledger, self.text, self.now = {}, "Hello", None
        self.steps_to_crash = self.steps_to_other = self.other = None
        self.ledger_away = self.inside = False
        # By address: how many jobs there were when a person authorised one more; and how often somebody was struck.
        self.authorised, self.strikes = {}, Counter()
        # Jobs of tries that ended in order: they must be in the ledger, whatever another task writes.
        self.entered = set()

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()

    # -- the world -------------------------------------------------------------------------------------

    def sleep(self, seconds):
        self.clock += seconds

    def step(self):
        """One of the points between which a worker may be killed, or another one may do all of its work."""
        if self.steps_to_crash is not None:
            self.steps_to_crash -= 1
            if self.steps_to_crash < 0:
                self.steps_to_crash = None
                raise Crash
        if self.steps_to_other is not None:
            self.steps_to_other -= 1
            if self.steps_to_other < 0:
                mine, crash = self.now, self.steps_to_crash
                self.steps_to_crash = self.steps_to_other = None
                self.inside = True
                self.attempt(self.other)
                self.now, self.steps_to_crash, self.inside = mine, crash, False

    def call(self, function, *args):
        self.step()
        self.clock += 0.1
        result = function(*args)
        self.step()
        return result

    def post(self, account_id, channel, recipient, content, *, idempotency_key, **body):
        address = recipient["address"].lower()
        before, task = dict(self.revor.jobs), self.now
        self.step()
        before = dict(self.revor.jobs)
        body.pop("min_channel_task_interval_seconds")
        job = self.revor.post(address, json.dumps([account_id, content, body]), idempotency_key)
        for job_id in self.revor.jobs.keys() - before.keys():
            task.jobs.add(job_id)
            self.check_new_job(task, address, before)
        self.step()
        return job

    def jobs_of(self, address, jobs=None):
        return [one for one in (self.revor.jobs if jobs is None else jobs).values() if one["address"] == address]

    def check_new_job(self, task, address, before):
        task.created[address] += 1
        assert task.created[address] == 1, "two new jobs for a person in one try"
        mine = self.jobs_of(address, before)
        if not mine:
            return
        live = sum(one["status"] in LIVE for one in mine)
        assert live <= self.strikes[address], "a person is written to twice"
        error = mine[-1]["error"] or {}
        may_help = error.get("retryable") or "timeout" in error.get("code", "")
        struck = len(mine) in self.authorised.get(address, ())
        assert may_help or task.first_after_clear or struck, "nobody said that it may be sent again"

    # -- tries -----------------------------------------------------------------------------------------

    def operator(self, task):
        message = {"account_id": "acc_1", "channel": "email", "content": {"subject": "Hello", "text": self.text}}
        common = {"task_id": "send", "campaign": "spring", "wait_for_completion": False, "retries": 1}
        if task.kind == "dispatch":
            return OutreachDispatchOperator(
                recipient={"address": task.people[0]}, deferrable=False, **message, **common
            )
        return OutreachBatchOperator(
            messages=[{**message, "recipient": {"address": address}} for address in task.people],
            min_channel_task_interval_seconds=None,
            **common,
        )

    def context(self, task):
        ti = SimpleNamespace(
            dag_id=task.dag_id,
            run_id=task.run_id,
            task_id="send",
            map_index=-1,
            try_number=task.try_number,
            max_tries=task.max_tries,
            xcom_push=lambda key, value: task.pushed.update({key: json.loads(json.dumps(value))}),
        )
        if not self.has_stores:
            return {"ti": ti}

        def put(key, value, retention):
            assert retention == timedelta.max
            self.step()
            task.records[key] = json.loads(json.dumps(value))
            self.step()

        records = SimpleNamespace(get=lambda key: self.step() or task.records.get(key), set=put)
        return {"ti": ti, "task_state_store": records, "asset_state_store": self}

    def __getitem__(self, asset):
        return SimpleNamespace(get=self.get, set=self.set)

    def get(self, key):
        self.step()
        if self.ledger_away:
            raise OSError("The API server is away.")
        value = json.loads(self.ledger.get(key, "null"))
        self.step()
        return value

    def set(self, key, value):
        self.step()
        self.ledger[key] = json.dumps(value)
        self.step()

    def attempt(self, task):
        if task.state in ("success", "failed", "skipped", "running"):
            return
        task.try_number += 1
        task.first_after_clear, task.cleared = task.cleared, False
        if task.first_after_clear:
            for address in map(str.lower, task.people):
                self.authorised.setdefault(address, set()).add(len(self.jobs_of(address)))
        task.created.clear()
        task.pushed.clear()
        task.jobs.clear()
        self.now, task.state, crashed = task, "running", False
        try:
            done = self.operator(task).execute(self.context(task))
        except AirflowSkipException:
            task.state = "skipped"
            assert self.jobs_of(task.people[0].lower()), "skipped without an earlier message"
        except AirflowFailException:
            task.state = "failed"
        except (Crash, e.RevorError) as error:
            crashed = isinstance(error, Crash)
            task.state = "up_for_retry" if task.try_number <= task.max_tries else "failed"
        else:
            task.state = "success"
            if task.kind == "dispatch":
                assert self.revor.jobs[done["id"]]["status"] in LIVE, "a success without a message"
        finally:
            self.now = None
        if task.kind == "batch":
            rows = task.pushed.get("jobs", ())
        else:
            rows = [task.pushed["return_value"]] if task.state == "skipped" else ()
        for row in rows:
            self.check_skipped(row)
        # One that ran within another's read and write of the ledger is over before it can see what was dropped.
        if not (crashed or self.ledger_away or self.inside):
            self.entered |= task.jobs

    def check_skipped(self, row):
        """What a task says of an earlier message is true."""
        if row["job_id"] is None or row["status"] != "skipped":
            # Sent, or skipped because another message was, and how that one ended is not known.
            return
        job = self.revor.jobs[row["job_id"]]
        assert row["code"] == ("already_written_to" if job["status"] in LIVE else "already_failed"), "a false reason"
        # Keys alone lead to the first attempt, and not to one after a clear.
        if row["code"] == "already_failed" and self.has_stores and not self.ledger_away:
            mine = self.jobs_of(job["address"], {job_id: self.revor.jobs[job_id] for job_id in self.entered})
            live = sum(one["status"] in LIVE for one in mine)
            assert live <= self.strikes[job["address"]], "told as failed, and was written to since"

    @rule(index=st.integers(0, 3), crash=CRASHES, at_once=st.none() | st.sampled_from(ENDS))
    def run(self, index, crash, at_once):
        self.steps_to_crash, self.revor.at_once = crash, at_once
        self.attempt(self.tasks[index])
        self.steps_to_crash = self.revor.at_once = None

    @rule(index=st.integers(0, 3), other=st.integers(0, 3), at=st.integers(0, 15), crash=CRASHES)
    def two_run_at_once(self, index, other, at, crash):
        if index != other:
            self.steps_to_other, self.other, self.steps_to_crash = at, self.tasks[other], crash
            self.attempt(self.tasks[index])
            self.steps_to_other = self.steps_to_crash = None

    @rule(index=st.integers(0, 3))
    def clear(self, index):
        task = self.tasks[index]
        if task.try_number:
            task.max_tries, task.state, task.cleared = task.try_number + 1, "none", True

    @rule(index=st.integers(0, 3), crash=CRASHES)
    def clear_and_run(self, index, crash):
        self.clear(index)
        self.run(index, crash, None)

    @rule(index=st.integers(0, 3))
    def a_run_begins(self, index):
        old = self.tasks[index]
        self.tasks[index] = Task(old.kind, old.dag_id, f"{old.run_id}+", old.people)

    @rule(index=st.integers(0, 3))
    def a_list_is_generated_again(self, index):
        self.tasks[index].people = list(PEOPLE) if self.tasks[index].kind == "batch" else list(PEOPLE[1:])

    @precondition(lambda self: self.has_stores)
    @rule(index=st.integers(0, 3))
    def the_ledger_is_away_for_a_try(self, index):
        self.ledger_away = True
        self.run(index, None, None)
        self.ledger_away = False

    @precondition(lambda self: self.has_stores)
    @rule(address=st.sampled_from(PEOPLE))
    def a_person_is_struck(self, address):
        if CampaignLedger(self, "spring").strike(address):
            self.strikes[address] += 1
            jobs = len(self.jobs_of(address))
            self.authorised.setdefault(address, set()).add(jobs)

    @rule(end=st.sampled_from(ENDS))
    def jobs_end(self, end):
        for job_id in self.revor.jobs:
            self.revor.end(job_id, *end)

    @rule(seconds=st.sampled_from([1, 10, 3600, DAY]))
    def time_passes(self, seconds):
        self.clock += seconds

    @rule(text=st.sampled_from(["Hello", "Corrected"]))
    def the_message_changes(self, text):
        self.text = text

    @invariant()
    def nobody_is_reached_twice(self):
        for address in PEOPLE if hasattr(self, "revor") else ():
            live = sum(one["status"] in LIVE for one in self.jobs_of(address))
            assert live <= 1 + self.strikes[address], "a person is written to twice"


class OncePerCampaignByKeysAlone(OncePerCampaign):
    """Below Airflow 3.3 there are no stores: Revor's memory of keys must do."""

    has_stores = False


common = settings(max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestOncePerCampaign = pytest.mark.skipif(not ASSET_STATE_STORE, reason="the ledger is of Airflow 3.3+")(
    OncePerCampaign.TestCase
)
TestOncePerCampaign.settings = common
TestOncePerCampaignByKeysAlone = OncePerCampaignByKeysAlone.TestCase
TestOncePerCampaignByKeysAlone.settings = common
