"""Which account a gate takes in the triggerer when several can send."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from factories import account

from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.selection import pick_account, sticky_digest
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.triggers.connect import SendableAccountTrigger
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

LEAD = "lead@example.net"
FIVE = [account(account_id=f"acc_{n}") for n in range(1, 6)]

# What an earlier version, which always took the first, has left in the database.
EARLIER = {
    "revor_conn_id": "revor_default",
    "channel": "email",
    "account_id": None,
    "any_account": True,
    "poke_interval": 40.0,
    "first_poll_at": 1_000_000.0,
    "deadline": None,
    "deadline_status": "timeout",
    "silent_fail": False,
    "last_logged": "0123456789abcdef",
}


@pytest.fixture(autouse=True)
def five_accounts(monkeypatch):
    async def list_accounts(hook, **_):
        return FIVE

    monkeypatch.setattr(RevorHook, "alist_connect_accounts", list_accounts)


def payload(trigger):
    async def first():
        return await anext(aiter(trigger.run()))

    return asyncio.run(first()).payload


def picked(**kwargs):
    return payload(SendableAccountTrigger(**kwargs))["account"]["account_id"]


def test_it_takes_what_a_task_of_the_dag_would_take_from_the_key_and_from_its_digest():
    for lead in ("lead-1", 2, "3", LEAD):
        home = pick_account(FIVE, "sticky", lead).account_id
        assert picked(pick="sticky", sticky_key=lead) == home
        assert picked(pick="sticky", sticky_digest=sticky_digest("sticky", lead)) == home


def test_it_takes_the_first_or_any(monkeypatch):
    monkeypatch.setattr("random.choice", lambda sendable: sendable[-1])
    assert (picked(), picked(pick="random")) == ("acc_1", "acc_5")


@pytest.mark.parametrize("kwargs", [{"pick": "best"}, {"pick": "sticky"}, {"pick": "sticky", "sticky_key": "None"}])
def test_what_cannot_be_used_ends_the_wait(kwargs):
    assert payload(SendableAccountTrigger(**kwargs))["error"]["error"] == "RevorValueError"


@pytest.mark.skipif(not START_FROM_TRIGGER, reason="a gate starts from the trigger on Airflow 3.3+")
@pytest.mark.parametrize(("lead", "end"), [(12, "success"), (None, "error")])
def test_the_key_is_rendered_where_the_task_starts_from_the_trigger(lead, end):
    sensor = SendableAccountSensor(
        task_id="gate", start_from_trigger=True, pick="sticky", sticky_key="{{ params.lead }}"
    )
    trigger = SendableAccountTrigger(**sensor.start_trigger_args.trigger_kwargs)
    trigger.task_instance = SimpleNamespace(task_id="gate", task=sensor)
    trigger.render_template_fields({"params": {"lead": lead}})
    ended = payload(trigger)
    assert ended["status"] == end
    if end == "success":
        assert ended["account"] == pick_account(FIVE, "sticky", lead).as_dict()
    assert trigger.shared_stream_key() == SendableAccountTrigger().shared_stream_key()


@pytest.mark.parametrize(
    "picking", [{"pick": "random"}, {"pick": "sticky", "sticky_key": LEAD}, {"pick": "sticky", "sticky_digest": "ab"}]
)
def test_it_can_be_made_again_and_does_not_show_the_key(picking):
    trigger = SendableAccountTrigger(**picking)
    path, kwargs = trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert SendableAccountTrigger(**kwargs).serialize() == (path, kwargs)
    assert LEAD not in repr(trigger)
    assert f"pick={picking['pick']}" in repr(trigger)


def test_what_an_earlier_version_has_stored_still_loads():
    trigger = SendableAccountTrigger(**EARLIER)
    # It ends on a worker, as it would have.
    new = {"pick": "first", "sticky_key": None, "sticky_digest": None, "end_here": False, "push_xcoms": True}
    new |= {"timeout": None, "notify_at": None, "notify_after": None, "log_every": 3600.0}
    assert trigger.serialize()[1] == {**EARLIER, **new}
    assert payload(trigger)["account"]["account_id"] == "acc_1"
