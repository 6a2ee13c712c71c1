"""The everyday Dag, run by real Airflow over three days of the sandbox's time."""

from __future__ import annotations

import csv
import importlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from project import ROOT

from airflow_provider_revor.version_compat import ASSET_STATE_STORE

pytestmark = [
    pytest.mark.usefixtures("airflow_db"),
    pytest.mark.skipif(not ASSET_STATE_STORE, reason="the ledger takes Airflow 3.3+"),
]

LEADS = [
    {
        "id": number,
        "name": f"Lead {number}",
        # Each fifth has a profile only.
        "address": f"lead{number}@example.com" if number % 5 else "",
        "profile_url": f"https://www.linkedin.com/in/lead-{number}",
    }
    for number in range(1, 301)
]


@pytest.fixture
def leads(tmp_path):
    path = tmp_path / "leads.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, LEADS[0])
        writer.writeheader()
        writer.writerows(LEADS)
    return path


@pytest.fixture
def dag(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "example_dags"))
    dag = importlib.import_module("example_everyday_outreach").example_everyday_outreach()
    send = dag.get_task("send")
    send.poke_interval, send.max_requests_per_minute, send.retries = 0.1, 60_000, 0
    return dag


def test_the_file_beside_it_is_what_it_reads_by_default(dag):
    with open(dag.params["leads"], newline="") as file:
        people = list(csv.DictReader(file))
    assert all(list(person) == list(LEADS[0]) for person in people)
    assert all(person["address"] or person["profile_url"] for person in people)


def test_three_days_of_outreach(dag, leads, revor_sandbox, capfd):
    mailboxes = ["acc_anna", "acc_bert"]
    accounts = [{"account_id": account_id, "channel": "email"} for account_id in mailboxes]
    revor_sandbox.set_accounts([*accounts, {"account_id": "acc_linkedin", "channel": "linkedin"}])
    start, days = datetime(2026, 3, 1, tzinfo=UTC), []
    # The second day, half of the rest fails: more than a tenth.
    for day, failing in enumerate([5, 15, 0]):
        if failing:
            revor_sandbox.script_jobs("failed", times=failing)
        before = len(revor_sandbox.jobs)
        run = dag.test(logical_date=start + timedelta(days=day), run_conf={"leads": str(leads)})
        ids = {job["id"] for job in revor_sandbox.jobs[before:]}
        days.append((str(run.state), len(ids), by_account(revor_sandbox, ids)))
        revor_sandbox.advance(days=1)

    (first, sent_first, accounts_first), (second, sent_second, _), (third, sent_third, _) = days
    assert (first, second, third) == ("success", "failed", "success")
    # 60 have no address; each mailbox sends 100 of the 240 others on the first day.
    assert accounts_first["acc_linkedin"] + accounts_first["acc_anna"] + accounts_first["acc_bert"] == sent_first - 5
    assert (sent_first, sent_second, sent_third) == (260, 40, 0)
    assert max(accounts_first.values()) <= 100
    people = [entry.recipient.get("address") or entry.recipient["profile_url"] for entry in revor_sandbox.outbox]
    assert len(people) == len(set(people)) == 300 - 5 - 15
    out = "".join(capfd.readouterr())
    assert "To send: 260. Left over: {'cap': 40}." in out
    assert "To send: 0. Left over: {}." in out


def by_account(sandbox, ids):
    return Counter(entry.account_id for entry in sandbox.outbox if entry.job_id in ids)
