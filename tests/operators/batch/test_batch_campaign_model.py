"""
A batch of a campaign, with people who are excluded: its random lives, while other runs write to the same people.

It waits in a trigger, and writes the campaign's ledger at its end. All that its rows say must be true.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from operators.batch.test_batch_model import PEOPLE, BatchOnceMeansOnce, common
from revor_model import ENDS, LIVE, Crash

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.version_compat import ASSET_STATE_STORE

# What a job of each outcome is like.
TRUE = {"sent": ("succeeded",), "accepted": LIVE, "failed": ("failed", "cancelled")}


class BatchOfACampaign(BatchOnceMeansOnce):
    @initialize()
    def a_campaign_begins(self):
        self.ledger, self.excluded, self.run_id = {}, set(), "r"
        self.ledger_away, self.runs = False, 0

    # -- the ledger ------------------------------------------------------------------------------------

    def __getitem__(self, asset):
        return SimpleNamespace(get=self.get, set=self.set)

    def get(self, key):
        self.step()
        if self.ledger_away:
            raise OSError("The API server is away.")
        return json.loads(self.ledger.get(key, "null"))

    def set(self, key, value):
        self.step()
        self.ledger[key] = json.dumps(value)
        self.step()

    # -- tries -----------------------------------------------------------------------------------------

    def operator(self):
        plain = super().operator()
        return OutreachBatchOperator(
            task_id="send",
            messages=plain.messages,
            wait_for_completion=self.wait and self.run_id == "r",
            poke_interval=30,
            timeout=1000,
            retries=self.retries,
            campaign="spring",
            exclude=[f" {address.upper()}" for address in sorted(self.excluded)],
        )

    def context(self):
        context = super().context()
        context["ti"].run_id = self.run_id
        if self.run_id != "r":
            context["ti"].try_number, context["ti"].max_tries = 1, self.retries
            context["ti"].xcom_push = lambda key, value: None
            context.pop("task_state_store", None)
        return {**context, "asset_state_store": self} if self.has_store else context

    def check_new_job(self, address, before):
        assert address not in self.excluded, "an excluded person is written to"
        super().check_new_job(address, before)

    def check_summary(self, summary):
        rows = self.xcoms["jobs"]
        assert (summary["total"], len(rows)) == (5, 5)
        people = Counter()
        for row, address in zip(rows, map(str.lower, self.people), strict=True):
            job = self.revor.jobs.get(row["job_id"])
            assert job is None or job["address"] == address, "another person's job"
            if row["code"] == "excluded":
                assert row["job_id"] is None
            elif row["code"] == "already_written_to":
                assert job is None or job["status"] in LIVE, "told as written to, and failed"
            elif row["code"] == "already_failed":
                assert job["status"] not in LIVE, "told as failed, and was sent"
            elif row["code"] != "duplicate_person" and job:
                outcome = {"succeeded": "sent", "failed": "failed", "cancelled": "failed"}.get(
                    row["status"], "accepted"
                )
                assert job["status"] in TRUE[outcome], "a row that is not true"
            people[address] += row["code"] not in ("duplicate_person", "excluded")
        assert max(people.values()) <= 1

    @precondition(lambda self: self.state != "deferred")
    @rule(people=st.sets(st.sampled_from(PEOPLE), max_size=2))
    def the_exclusion_changes(self, people):
        self.excluded = people

    @rule(crash=st.none() | st.integers(0, 40), at_once=st.none() | st.sampled_from(ENDS))
    def another_run_sends(self, crash, at_once):
        """As a whole, or until its worker is killed; also while the batch waits."""
        self.runs += 1
        created, self.created, self.run_id = self.created, Counter(), f"r{self.runs}"
        ends, self.ends_while_waiting = self.ends_while_waiting, None
        self.steps_to_crash, self.revor.at_once = crash, at_once
        with suppress(Crash, e.RevorError):
            self.operator().execute(self.context())
        self.created, self.run_id, self.ends_while_waiting = created, "r", ends
        self.steps_to_crash = self.revor.at_once = None

    @precondition(lambda self: self.has_store)
    @rule()
    def the_ledger_is_away_for_a_try(self):
        self.ledger_away = True
        self.run(None, None, None)
        self.ledger_away = False


class BatchOfACampaignByKeysAlone(BatchOfACampaign):
    """Below Airflow 3.3 there are no stores: Revor's memory of keys must do."""

    has_store = False


TestBatchOfACampaign = pytest.mark.skipif(not ASSET_STATE_STORE, reason="the ledger is of Airflow 3.3+")(
    BatchOfACampaign.TestCase
)
TestBatchOfACampaign.settings = common
TestBatchOfACampaignByKeysAlone = BatchOfACampaignByKeysAlone.TestCase
TestBatchOfACampaignByKeysAlone.settings = common
