"""Every day, write to the next leads of a file: each once per campaign, at most 100 per account. For Airflow 3.3+."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, dag, task

from airflow_provider_revor.campaign import CampaignLedger
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.selection import plan_outreach

SPRING = Asset("spring_outreach")
CONTENT = {
    "email": {"subject": "Hello", "text": "Hello, shall we talk?"},
    "linkedin": {"text": "Hello, shall we connect?"},
}


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    # A file with the columns id, name, address and profile_url; for a first try, the one beside this Dag.
    params={"leads": str(Path(__file__).with_name("leads.csv"))},
    tags=["revor"],
    doc_md=__doc__,
    dag_display_name="Revor: outreach, every day",
)
def example_everyday_outreach():
    accounts = ListConnectAccountsOperator(
        task_id="accounts",
        task_display_name="List the senders",
        doc_md="Returns the accounts that can send, of each channel.",
        sendable=True,
    )

    # Keep names and messages out of logs.
    @task(inlets=[SPRING], task_display_name="Plan who is written to today", show_return_value_in_logs=False)
    def plan(accounts: list[dict[str, Any]], params=None, asset_state_store=None) -> list[dict[str, Any]]:
        """Take the leads that nobody has written to yet, as many as the senders may write to in a day."""
        written_to = CampaignLedger(asset_state_store[SPRING], SPRING)
        with open(params["leads"], newline="") as file:
            people = [lead for lead in csv.DictReader(file) if lead not in written_to]
        # Email, or LinkedIn for those without an address; each with its own sender.
        assigned, left_over = plan_outreach(people, accounts, key="id", most_per_account=100)
        print(f"To send: {len(assigned)}. Left over: {dict(Counter(one['reason'] for one in left_over))}.")
        return [{**message, "content": CONTENT[message["channel"]]} for _, message in assigned]

    OutreachBatchOperator(
        task_id="send",
        task_display_name="Write to each person once",
        doc_md="Each once per campaign, on whatever day. Returns how many were sent, and why others were not.",
        messages=plan(accounts.output),
        campaign=SPRING,
        # Above a tenth, the run is red.
        max_failed=0.1,
        timeout=timedelta(hours=23),
        retries=2,
    )


example_everyday_outreach()
