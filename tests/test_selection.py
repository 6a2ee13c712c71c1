from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter

import pytest
from factories import account, item
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.selection import pick_account, sticky_digest

FIVE = [item(account_id=f"acc_{n}") for n in range(1, 6)]
KEYS = range(10_000)

# Written down once: neither another process nor another Python, nor a later version of ours, may give another answer.
PINNED = {"lead-1": "acc_5", 7: "acc_5", "ada@example.com": "acc_2", "é": "acc_2", 12: "acc_4", "\ud800": "acc_5"}


def homes(accounts, keys=KEYS) -> dict:
    return {key: pick_account(accounts, "sticky", key)["account_id"] for key in keys}


accounts_of = st.lists(
    st.builds(item, account_id=st.text(max_size=5), status=st.sampled_from(["ok", "error"]), can_send=st.booleans()),
    unique_by=lambda one: one["account_id"],
    max_size=8,
)
sendable_of = st.lists(
    st.builds(item, account_id=st.text(max_size=5)), unique_by=lambda one: one["account_id"], min_size=2, max_size=8
)
keys_of = st.integers() | st.text(min_size=1).filter(lambda text: text.strip().lower() not in ("", "none"))


@given(accounts_of, st.sampled_from(["first", "random", "sticky"]), keys_of)
def test_it_picks_a_sendable_account_or_says_that_there_is_none(accounts, strategy, key):
    sendable = [one for one in accounts if one["status"] == "ok" and one["can_send"]]
    try:
        picked = pick_account(accounts, strategy, key if strategy == "sticky" else None)
    except RevorValueError:
        assert sendable == []
    else:
        assert any(picked is one for one in sendable)


def test_the_first_is_revors_first():
    assert pick_account([item(can_send=False), item(account_id="acc_9"), item()])["account_id"] == "acc_9"


def test_an_account_comes_back_as_the_kind_that_it_was_given():
    assert pick_account([account()]) == account()
    odd = item(added_later=[1])
    assert pick_account(one for one in [odd]) is odd
    least = {"account_id": "acc_1", "status": "ok", "can_send": True}
    assert pick_account([least], "sticky", 1) is least


def test_random_takes_each_sooner_or_later():
    random.seed(1)
    assert {pick_account(FIVE, "random")["account_id"] for _ in range(200)} == {one["account_id"] for one in FIVE}


# -- sticky ----------------------------------------------------------------------------------------------


def test_a_key_meets_the_account_that_it_always_met():
    assert homes(FIVE, PINNED) == PINNED
    assert sticky_digest("sticky", 7) == "7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451"


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_gives_the_same(seed):
    code = (
        "from airflow_provider_revor.selection import pick_account; "
        "accounts = [{'account_id': f'acc_{n}', 'status': 'ok', 'can_send': True} for n in range(1, 6)]; "
        "print(*(pick_account(accounts, 'sticky', key)['account_id'] for key in range(100)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.splitlines()[-1].split() == list(homes(FIVE, range(100)).values())


def test_keys_spread_evenly():
    spread = Counter(homes(FIVE).values())
    # 2,000 each, with a standard deviation of 40.
    assert len(spread) == 5
    assert all(abs(count - 2_000) < 4 * 40 for count in spread.values())


def test_the_keys_of_a_lost_account_spread_evenly_too():
    before, after = homes(FIVE), homes(FIVE[1:])
    spread = Counter(after[key] for key in KEYS if before[key] == "acc_1")
    assert len(spread) == 4
    assert all(abs(count - 504) < 4 * 20 for count in spread.values())


@given(sendable_of, keys_of, st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(accounts, key, chance):
    shuffled = chance.sample(accounts, len(accounts))
    assert pick_account(shuffled, "sticky", key) is pick_account(accounts, "sticky", key)


@given(sendable_of, st.lists(keys_of, min_size=1), st.data(), st.booleans())
def test_only_the_keys_of_an_account_that_comes_or_goes_move(accounts, keys, data, blocked):
    gone = data.draw(st.sampled_from(accounts))
    # Whether it cannot send any more or is not there at all.
    rest = [{**one, "can_send": False} if one is gone else one for one in accounts if blocked or one is not gone]
    with_it, without = homes(accounts, keys), homes(rest, keys)
    for key in keys:
        assert without[key] != gone["account_id"]
        assert with_it[key] in (gone["account_id"], without[key])


@given(st.integers())
def test_a_number_and_its_text_are_the_same_key(number):
    assert sticky_digest("sticky", number) == sticky_digest("sticky", f" {number}\n")


# -- what cannot be used ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", " \n", "None", float("nan")])
def test_sticky_takes_a_key(key):
    with pytest.raises(RevorValueError, match="must say who always meets the same account"):
        pick_account(FIVE, "sticky", key)


@pytest.mark.parametrize("key", [True, b"ada", ["ada"], {"lead": "ada"}, object()])
def test_a_key_that_may_be_written_in_several_ways_is_refused_and_not_shown(key):
    with pytest.raises(RevorValueError, match=f"of the type {type(key).__name__}: use a string or a number") as refused:
        pick_account(FIVE, "sticky", key)
    assert "ada" not in str(refused.value)


@pytest.mark.parametrize("strategy", ["first", "random"])
def test_a_key_that_would_have_no_effect_is_refused_and_not_shown(strategy):
    with pytest.raises(RevorValueError, match=f"no use in picking '{strategy}'") as refused:
        pick_account(FIVE, strategy, "ada@example.com")
    assert "ada" not in str(refused.value)


@pytest.mark.parametrize("strategy", ["best", "", None, ["first"]])
def test_an_unknown_strategy_is_refused(strategy):
    with pytest.raises(RevorValueError, match="use one of first, random, sticky"):
        pick_account(FIVE, strategy)


@pytest.mark.parametrize("accounts", [None, []])
def test_no_account_at_all(accounts):
    with pytest.raises(RevorValueError, match="No account to pick: 0 given, none can send"):
        pick_account(accounts)


def test_no_account_that_can_send_is_explained_briefly_and_without_personal_data():
    accounts = [item(account_id=f"acc_{n}", status="credentials") for n in range(1_000)]
    with pytest.raises(RevorValueError, match="1000 given, none can send. acc_0: its credentials must be") as none:
        pick_account(accounts)
    assert "acc_5" not in str(none.value)
    assert "and 995 more" in str(none.value)
    assert "ada@example.com" not in str(none.value)
    assert "Ada" not in str(none.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account_id", None),
        ("account_id", 1),
        ("status", None),
        ("status", True),
        ("can_send", 1),
        ("can_send", "true"),
    ],
)
@pytest.mark.parametrize("missing", [False, True])
def test_what_is_no_account_is_named_and_not_shown(name, value, missing):
    broken = item(**{name: value})
    if missing:
        del broken[name]
    with pytest.raises(RevorValueError, match=rf"accounts\[1\] is no account: it has no `{name}` that is a") as refused:
        pick_account([item(), broken])
    assert "ada@example.com" not in str(refused.value)


@pytest.mark.parametrize("accounts", [["acc_1"], [[item()]], item(), [None]])
def test_another_shape_than_a_list_of_accounts_is_refused(accounts):
    with pytest.raises(RevorValueError, match=r"accounts\[0\] is no account"):
        pick_account(accounts)
