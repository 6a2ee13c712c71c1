"""
Once means once: random lives of two task instances, and what may not happen in any of them.

The rule, as a person would check it from outside: whenever a job comes into being, look at the jobs that were there for
the same person before, and at the try that created it.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from revor_model import DAY, ENDS, LIVE, Crash, Revor

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.version_compat import COUNTS_CLEARS

PEOPLE = ("ada@example.com", "bob@example.com")


class Instance:
    """A task instance, as Airflow counts its tries."""

    def __init__(self, retries):
        self.try_number, self.max_tries, self.retries = 0, retries, retries
        self.state = "none"
        self.cleared = True
        self.clears = 0
        self.store = {}


class OnceMeansOnce(RuleBasedStateMachine):
    """Two task instances of one mapped task, whose leads may change places."""

    has_store = True

    @initialize(
        offset=st.sampled_from([-DAY, -3600, -2.3, -0.5, 0, 0.5, 2.3, 3600, DAY]),
        dated=st.sampled_from([True, True, False]),
        retries=st.integers(1, 3),
        own_key=st.booleans(),
        wait=st.booleans(),
        cancels=st.booleans(),
    )
    def begin(self, offset, dated, retries, own_key, wait, cancels):
        self.patch = pytest.MonkeyPatch()
        self.clock = 1_700_000_000.25
        self.patch.setattr(time, "time", lambda: self.clock)
        self.patch.setattr(time, "monotonic", lambda: self.clock)
        self.patch.setattr(time, "sleep", self.sleep)
        self.patch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", json.dumps({"conn_type": "revor", "password": "sk-revor-x"}))
        self.revor = Revor(offset, dated)
        self.patch.setattr(RevorHook, "create_outreach_dispatch", lambda hook, *args, **body: self.post(*args, **body))
        self.patch.setattr(RevorHook, "get_outreach_job", lambda hook, job_id: self.call(self.revor.get, job_id))
        self.patch.setattr(RevorHook, "cancel_outreach_job", lambda hook, job_id: self.call(self.cancel, job_id))
        self.patch.setattr(RevorHook, "check_can_cancel", lambda hook: None)
        self.cancels = cancels
        self.instances = [Instance(retries), Instance(retries)]
        self.leads = list(PEOPLE)
        self.own_key, self.wait, self.text, self.account = own_key, wait, "Hello", "acc_1"
        self.steps_to_crash = self.ends_while_waiting = None
        self.clears = 0
        # By person: how many jobs there were in each first try.
        self.authorised = {}
        self.needs_records = self.broken_store = False

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()

    # -- the world -------------------------------------------------------------------------------------

    def sleep(self, seconds):
        self.clock += seconds
        if self.ends_while_waiting:
            for job_id in self.revor.jobs:
                self.revor.end(job_id, *self.ends_while_waiting)

    def step(self):
        """One of the points between which a worker may be killed."""
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

    def post(self, account_id, channel, recipient, content, *, idempotency_key, **body):
        address = recipient["address"]
        before = dict(self.revor.jobs)
        try:
            return self.call(
                self.revor.post, address, json.dumps([account_id, recipient, content, body]), idempotency_key
            )
        finally:
            for job_id in self.revor.jobs.keys() - before.keys():
                self.check_new_job(address, before, job_id)

    def cancel(self, job_id):
        """Cancel a job, which only a try after a clear may do."""
        assert self.cancels
        assert self.first or self.maybe_killed, "an automatic retry cancelled"
        self.revor.end(job_id, "cancelled", None)
        return self.revor.get(job_id)

    def check_new_job(self, address, before, job_id):
        self.created += 1
        assert self.created == 1, "two new jobs in one try"
        mine = [one for one in before.values() if one["address"] == address]
        if not mine:
            return
        assert all(one["status"] not in LIVE for one in mine), "a person is written to twice"
        error = mine[-1]["error"] or {}
        may_help = error.get("retryable") or "timeout" in error.get("code", "")
        # A clear authorises one message; if its first try crashed, the next one may complete it.
        authorised = self.first or self.maybe_killed or len(mine) in self.authorised.get(address, ())
        assert authorised or may_help, "an automatic retry sent"

    # -- tries -----------------------------------------------------------------------------------------

    def attempt(self, index):
        instance = self.instances[index]
        instance.try_number += 1
        self.first, instance.cleared = instance.cleared, False
        self.created = 0
        # A clear of the run while the last try did not end by itself: Airflow counts the next one as a retry. It stands
        # for a later one if that one cannot reach the store or crashes before it records anything.
        self.maybe_killed = self.cancels and self.has_store and self.clears > instance.clears
        address = self.leads[index]
        if self.first:
            jobs = [one for one in self.revor.jobs.values() if one["address"] == address]
            self.authorised.setdefault(address, set()).add(len(jobs))
        operator = OutreachDispatchOperator(
            task_id="send",
            account_id=self.account,
            channel="email",
            recipient={"address": address},
            content={"subject": "Hello", "text": self.text},
            idempotency_key=f"own-{address}" if self.own_key else None,
            wait_for_completion=self.wait,
            deferrable=False,
            poke_interval=30,
            timeout=100,
            retries=instance.retries,
            cancel_on_kill=self.cancels,
        )
        ti = SimpleNamespace(
            dag_id="d",
            run_id="r",
            task_id="send",
            map_index=index,
            try_number=instance.try_number,
            max_tries=instance.max_tries,
            xcom_push=lambda key, value: None,
        )
        context = {"ti": ti}
        if self.has_store:
            context["task_state_store"] = self.store_of(instance)
            context["dag_run"] = SimpleNamespace(clear_number=self.clears)
        try:
            done = operator.execute(context)
        except (Crash, e.RevorTransientError, e.RevorJobTimeoutError):
            failed_for_good = False
        except e.RevorJobFailedError:
            failed_for_good = True
        except e.RevorJobError:
            failed_for_good = False
        except e.RevorIdempotencyConflictError:
            failed_for_good = True
        else:
            now = self.revor.jobs[done["id"]]
            assert now["address"] == address
            assert now["status"] in (("succeeded",) if self.wait else LIVE), "a success without a message"
            instance.state = "success"
            return
        finally:
            self.steps_to_crash = None
        retry = not failed_for_good and instance.try_number <= instance.max_tries
        instance.state = "up_for_retry" if retry else "failed"

    def store_of(self, instance):
        def get(key):
            self.step()
            if self.broken_store:
                raise OSError("The API server is away.")
            return instance.store.get(key)

        def put(key, value, retention):
            assert retention == timedelta.max
            self.step()
            instance.store[key] = json.loads(json.dumps(value))
            instance.clears = self.clears
            self.step()

        return SimpleNamespace(get=get, set=put)

    @rule(
        index=st.integers(0, 1),
        crash=st.none() | st.integers(0, 12),
        at_once=st.none() | st.sampled_from(ENDS),
        while_waiting=st.none() | st.sampled_from(ENDS),
    )
    def run(self, index, crash, at_once, while_waiting):
        """Airflow runs a task that is due."""
        if self.instances[index].state in ("success", "failed"):
            return
        self.steps_to_crash, self.revor.at_once, self.ends_while_waiting = crash, at_once, while_waiting
        self.attempt(index)

    @rule(index=st.integers(0, 1))
    def clear(self, index):
        """A person clears a task."""
        instance = self.instances[index]
        if instance.try_number:
            instance.max_tries = instance.try_number + instance.retries
            instance.state, instance.cleared = "none", True
            self.clears += 1

    # From the numbers alone, an automatic retry would then look like a clear: it takes a record to tell.
    @precondition(lambda self: self.has_store and all(instance.store for instance in self.instances))
    @rule(index=st.integers(0, 1), retries=st.integers(0, 3))
    def the_dag_file_gives_other_retries(self, index, retries):
        self.instances[index].retries = retries
        self.needs_records = True

    @precondition(lambda self: not self.needs_records)
    @rule(index=st.integers(0, 1))
    def the_store_cannot_be_reached_for_a_try(self, index):
        self.broken_store = True
        self.run(index, None, None, None)
        self.broken_store = False

    @rule(index=st.integers(0, 1), crash=st.none() | st.integers(0, 12), at_once=st.none() | st.sampled_from(ENDS))
    def clear_and_run(self, index, crash, at_once):
        self.clear(index)
        self.run(index, crash, at_once, None)

    @rule(index=st.integers(0, 1), crash=st.integers(2, 8), end=st.sampled_from(ENDS))
    def a_try_is_cut_short_and_its_job_ends_before_the_next(self, index, crash, end):
        self.run(index, crash, None, None)
        self.jobs_end(end)
        self.time_passes(10)
        self.run(index, None, None, None)

    # -- what people and Revor do meanwhile ------------------------------------------------------------

    @rule(end=st.sampled_from(ENDS))
    def jobs_end(self, end):
        for job_id in self.revor.jobs:
            self.revor.end(job_id, *end)

    @rule(seconds=st.sampled_from([1, 10, 3600, DAY]))
    def time_passes(self, seconds):
        self.clock += seconds

    # Each task instance remembers its own jobs only.
    @precondition(lambda self: not self.needs_records)
    @rule()
    def the_list_is_generated_again_in_another_order(self):
        self.leads.reverse()
        # It takes a clear of the task that makes the list.
        self.clears += 1

    @rule(text=st.sampled_from(["Hello", "Corrected"]), account=st.sampled_from(["acc_1", "acc_2"]))
    def the_message_changes(self, text, account):
        self.text, self.account = text, account

    @precondition(lambda self: self.has_store and self.all_recorded())
    @rule(how=st.sampled_from(["rotate", "forget"]))
    def revor_no_longer_knows_the_keys(self, how):
        """The API key is rotated, or Revor forgets."""
        self.needs_records = True
        if how == "rotate":
            self.revor.api_key += 1
        else:
            self.revor.keys.clear()

    def all_recorded(self):
        """Whether each job's task instance has recorded it: then its memory alone must do."""
        for index, address in enumerate(self.leads):
            mine = [job_id for job_id, one in self.revor.jobs.items() if one["address"] == address]
            recorded = [json.dumps(value) for value in self.instances[index].store.values()]
            if mine and not any(f'"{mine[-1]}"' in value for value in recorded):
                return False
        return True

    @invariant()
    def nobody_is_reached_twice(self):
        for address in PEOPLE:
            jobs = getattr(self, "revor", None) and self.revor.jobs.values()
            live = [one for one in jobs or () if one["address"] == address and one["status"] in LIVE]
            assert len(live) <= 1, "a person is written to twice"


class OnceMeansOnceByKeysAlone(OnceMeansOnce):
    """Below Airflow 3.3 there is no store: Revor's memory of keys must do."""

    has_store = False


common = settings(max_examples=200, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
needs_a_store = pytest.mark.skipif(not COUNTS_CLEARS, reason="the task state store is new in Airflow 3.3")
TestOnceMeansOnce = needs_a_store(OnceMeansOnce.TestCase)
TestOnceMeansOnce.settings = common
TestOnceMeansOnceByKeysAlone = OnceMeansOnceByKeysAlone.TestCase
TestOnceMeansOnceByKeysAlone.settings = common
