"""Outreach tasks and their contexts, as tests want them."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from airflow_provider_revor.operators.outreach import LinkedInPostLikeOperator, OutreachDispatchOperator
from airflow_provider_revor.version_compat import ASSET_STATE_STORE, COUNTS_CLEARS

ROOT = "https://revor.ai/api/v1/outreach"
PROFILE = "https://www.linkedin.com/in/dana"
EMAIL = {
    "account_id": "acc_email",
    "channel": "email",
    "recipient": {"address": "dana@example.com", "name": "Dana"},
    "content": {"subject": "Hello", "text": "A secret for Dana"},
}
LIKE = {"profile_url": PROFILE, "topic": "hiking"}


def dispatch(**kwargs):
    return OutreachDispatchOperator(task_id="send", **{**EMAIL, "deferrable": False, "poke_interval": 0.1, **kwargs})


def like(**kwargs):
    return LinkedInPostLikeOperator(task_id="like", **{**LIKE, "deferrable": False, "poke_interval": 0.1, **kwargs})


class Store(dict):
    """Airflow's task state store, of one task instance; a test that makes one is for Airflow 3.3+."""

    def __init__(self, *args):
        if not COUNTS_CLEARS:
            pytest.skip("the task state store is new in Airflow 3.3")
        super().__init__(*args)

    def set(self, key, value, *, retention):
        assert retention == timedelta.max
        self[key] = json.loads(json.dumps(value))


class Assets:
    """Airflow's asset state stores, by the name of the asset; they count what they are asked."""

    def __init__(self):
        if not ASSET_STATE_STORE:
            pytest.skip("the asset state store is new in Airflow 3.3")
        self.values = {}
        self.calls = 0
        self.away = False

    def __getitem__(self, asset):
        return SimpleNamespace(get=lambda key: self._get(asset.name, key), set=partial(self._set, asset.name))

    def _get(self, name, key):
        self._call()
        return json.loads(self.values.get((name, key), "null"))

    def _set(self, name, key, value):
        self._call()
        self.values[name, key] = json.dumps(value)

    def _call(self):
        self.calls += 1
        if self.away:
            raise OSError("The API server is away.")


def context(try_number=1, pushed=None, *, automatic=False, store=None, assets=None, clears=None, **ids):
    """The context of a try: an automatic retry, or else the first try since a person cleared the task."""
    push = {} if pushed is None else pushed
    max_tries = try_number + 5 if automatic else try_number - 1
    ti = {"dag_id": "d", "run_id": "r", "task_id": "t", "try_number": try_number, "max_tries": max_tries, **ids}
    memory = {} if store is None else {"task_state_store": store}
    if assets is not None:
        memory["asset_state_store"] = assets
    if clears is not None:
        memory["dag_run"] = SimpleNamespace(clear_number=clears)
    return {"ti": SimpleNamespace(**ti, xcom_push=lambda key, value: push.update({key: value})), **memory}


def keys(sandbox):
    """The keys that were posted with, in the order of their first use."""
    return list(dict.fromkeys(record.idempotency_key for record in sandbox.requests if record.method == "POST"))


both = pytest.mark.parametrize("make", [dispatch, like])
