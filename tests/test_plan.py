"""A plan gives each person a channel and an account, evenly, within the caps, and says why somebody is left over."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from factories import account, item
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.rules.messages import read_messages
from airflow_provider_revor.selection import pick_account, plan_outreach

FIELDS = {"email": "address", "linkedin": "profile_url", "whatsapp": "phone"}

accounts_lists = st.lists(
    st.builds(
        item,
        account_id=st.sampled_from([f"acc_{n}" for n in range(6)]),
        channel=st.sampled_from(list(FIELDS)),
        status=st.sampled_from(["ok", "ok", "credentials"]),
        can_send=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda one: one["account_id"],
)
addresses = st.fixed_dictionaries({}, optional={field: st.just("somewhere") for field in FIELDS.values()})
people_lists = st.lists(addresses, max_size=30).map(lambda some: [{"id": n, **one} for n, one in enumerate(some)])
orders = st.lists(st.sampled_from(list(FIELDS)), min_size=1, max_size=3, unique=True)


def usable(accounts, channel):
    return [one for one in accounts if one["channel"] == channel and one["status"] == "ok" and one["can_send"]]


@given(people_lists, accounts_lists, orders, st.none() | st.integers(0, 5))
def test_everyone_is_assigned_or_left_over_for_a_reason(people, accounts, channels, most):
    plan = plan_outreach(people, accounts, key="id", channels=channels, most_per_account=most)
    assert sorted([p["id"] for p, _ in plan.assigned] + [left["reference"] for left in plan.left_over]) == [
        person["id"] for person in people
    ]
    counts = Counter(message["account_id"] for _, message in plan.assigned)
    assert most is None or all(count <= most for count in counts.values())
    for person, message in plan.assigned:
        first = next(c for c in channels if FIELDS[c] in person and usable(accounts, c))
        assert message["channel"] == first
        assert message["account_id"] == pick_account(usable(accounts, first), "sticky", person["id"])["account_id"]
        assert message["recipient"] == {FIELDS[first]: "somewhere"}
        assert message["reference"] == person["id"]
    for left in plan.left_over:
        person = people[left["reference"]]
        reachable = [c for c in channels if FIELDS[c] in person]
        sender = [c for c in reachable if usable(accounts, c)]
        assert left["reason"] == ("cap" if sender else "no_account" if reachable else "no_address")
        if left["reason"] == "cap":
            mine = pick_account(usable(accounts, sender[0]), "sticky", person["id"])["account_id"]
            assert counts[mine] == most


@given(people_lists, accounts_lists, st.randoms())
def test_it_is_the_same_whatever_the_order_of_the_accounts(people, accounts, random):
    shuffled = random.sample(accounts, len(accounts))
    assert plan_outreach(people, accounts, key="id") == plan_outreach(people, shuffled, key="id")


def test_many_people_are_spread_evenly():
    accounts = [account(account_id=f"acc_{n}") for n in range(4)]
    people = [{"id": n, "address": f"lead{n}@example.com"} for n in range(4000)]
    counts = Counter(message["account_id"] for _, message in plan_outreach(people, accounts, key="id").assigned)
    assert all(900 < count < 1100 for count in counts.values())


def test_each_channel_may_have_a_cap_of_its_own():
    accounts = [item(account_id="mail"), item(account_id="li", channel="linkedin")]
    people = [{"id": n, "address": "a@example.com"} for n in range(3)] + [{"id": 9, "profile_url": "u"}] * 3
    plan = plan_outreach(people, accounts, key="id", most_per_account={"linkedin": 1})
    assert Counter(message["channel"] for _, message in plan.assigned) == {"email": 3, "linkedin": 1}
    assert [left["reason"] for left in plan.left_over] == ["cap", "cap"]


def test_what_else_a_person_has_is_not_sent():
    person = {"id": "crm-1", "address": " ada@example.com ", "name": "Ada", "salary": 5}
    ((_, message),) = plan_outreach([person], [item()], key="id").assigned
    assert message["recipient"] == {"address": "ada@example.com", "name": "Ada"}


@pytest.mark.parametrize("cell", [math.nan, "nan", "", None])
def test_an_empty_cell_of_a_table_is_no_address_and_no_name(cell):
    ada = {"id": 1, "address": cell, "profile_url": "https://linkedin.com/in/ada", "name": math.nan}
    plan = plan_outreach([ada, {"id": 2, "address": cell}], [item(), item(channel="linkedin")], key="id")
    assert [message["recipient"] for _, message in plan.assigned] == [{"profile_url": "https://linkedin.com/in/ada"}]
    assert [left["reason"] for left in plan.left_over] == ["no_address"]
    with pytest.raises(ValueError, match=r"people\[0\] has no 'id'"):
        plan_outreach([{**ada, "id": math.nan}], [item()], key="id")


def test_a_number_that_a_table_made_a_float_is_left_for_the_batch_to_refuse():
    ((_, message),) = plan_outreach(
        [{"id": 1, "phone": 12025550123.0}], [item(channel="whatsapp")], key="id", channels=["whatsapp"]
    ).assigned
    listed = read_messages([{**message, "content": {"text": "Hello"}}], dag_id="d", run_id="r", task_id="t")
    assert "recipient.phone must be text, not float" in listed.told_problems()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param({"key": "crm"}, r"people\[0\] has no 'crm'", id="no-key"),
        pytest.param({"channels": ["fax"]}, "fax", id="unknown-channel"),
        pytest.param({"channels": [""]}, "channels", id="no-channel"),
        pytest.param({"most_per_account": -1}, "most_per_account", id="negative"),
        pytest.param({"most_per_account": {"Email": 5}}, "most_per_account names 'Email'", id="cap-of-no-channel"),
        pytest.param({"most_per_account": 0.5}, "most_per_account", id="share"),
        pytest.param({"accounts": [{}]}, r"accounts\[0\]", id="no-account"),
    ],
)
def test_arguments_that_cannot_be_used(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        plan_outreach([{"id": 1, "address": "a@example.com"}], **{"accounts": [item()], "key": "id", **arguments})
