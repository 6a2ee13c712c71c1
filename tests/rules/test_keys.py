"""Who is written to, in which run, by which task: the same key for the same, another key for anything else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_revor.api.wire import Request
from airflow_provider_revor.rules.keys import attempt_key, digest, fixed_choice, person, task_key

PROFILE = "https://www.linkedin.com/in/ada"

# Written down once: another process, another Python or a later version of ours must find the job that was made before.
PINNED = {
    "airflow-49ce98bc42e236955905eaa722b0ec6d2a0929fe7720194b791aa804564d53a5": ("t", "address", "ada@example.com"),
    "airflow-3d5dbe32ecf2c99a4e4df8061573a3bc0d8de861f1964fe5bcb4849c7ee012fe": ("t", "profile_url", PROFILE),
    "airflow-a170c7b5202d0f0544e23d196c0ec966cc7faafe3ec0080adabb40d252d68ab7": ("group.t", "phone", "+1 202 555 0123"),
}

names = st.text(max_size=8)
addresses = st.emails()
slugs = st.text("abcxyz0123456789-", min_size=1, max_size=12)
digits = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
recipients = st.one_of(
    addresses.map(lambda text: {"address": text}),
    slugs.map(lambda slug: {"profile_url": f"https://www.linkedin.com/in/{slug}"}),
    digits.map(lambda text: {"phone": f"+{text}"}),
)
tasks = st.tuples(names, names, names, recipients)


@given(tasks, tasks)
def test_another_dag_run_task_or_person_is_another_key(one, other):
    same = one[:3] == other[:3] and person(one[3]) == person(other[3])
    assert (task_key(*one) == task_key(*other)) is same


@given(st.permutations(["ada@example.com", "bob@example.com", "eve@example.com"]), st.integers(0, 2))
def test_the_place_in_a_list_does_not_count(leads, doubled):
    keys = {lead: task_key("d", "r", "t", {"address": lead}) for lead in leads}
    twice = [*leads, leads[doubled]]
    again = [task_key("d", "r", "t", {"address": lead, "name": str(n)}) for n, lead in enumerate(twice)]
    assert set(again) == set(keys.values())
    assert len(set(again)) == 3


@given(st.text(min_size=1).filter(str.strip), st.sampled_from(["address", "profile_url", "phone"]))
def test_whatever_names_a_person_makes_a_key_that_can_be_sent_and_tells_nothing(text, field):
    key = task_key("d", "r", "t", {field: text})
    assert Request("POST", "x", idempotency_key=attempt_key(key, 12)).headers["Idempotency-Key"]
    assert len(key) == len("airflow-") + 64


@given(recipients, st.sets(st.integers(1, 50), min_size=2))
def test_each_attempt_has_a_key_and_the_first_is_the_tasks(recipient, attempts):
    key = task_key("d", "r", "t", recipient)
    assert attempt_key(key, 1) == key
    assert len({attempt_key(key, attempt) for attempt in attempts}) == len(attempts)


@given(st.text(max_size=20), st.integers(60, 86_400), st.integers(0, 1000))
def test_a_fixed_choice_stays_within_its_bounds_and_never_changes(key, least, more):
    assert least <= fixed_choice(key, least, least + more) <= least + more
    assert fixed_choice(key, least, least + more) == fixed_choice(key, least, least + more)
    assert fixed_choice(key, least, least) == least


def test_fixed_choices_are_spread():
    chosen = Counter(fixed_choice(task_key("d", "r", "t", {"phone": str(n)}), 180, 360) for n in range(1, 18_101))
    assert set(chosen) == set(range(180, 361))
    assert max(chosen.values()) < 200


def test_keys_are_the_same_in_every_process():
    made = "; ".join(f"print(task_key('d', 'r', {task!r}, {{{by!r}: {who!r}}}))" for task, by, who in PINNED.values())
    code = f"from airflow_provider_revor.rules.keys import task_key; {made}"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == list(PINNED)
    assert fixed_choice("airflow-1", 180, 360) == 249


def test_names_of_several_types_are_text_as_in_json():
    assert digest({1: "a", "b": None}) == digest({"b": None, "1": "a"})
