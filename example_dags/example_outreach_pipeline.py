"""The whole job: wait for an account, keep each lead with its sender, write to each lead once, and sum up."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.selection import pick_account
from airflow_provider_revor.sensors.connect import SendableAccountSensor


@dag(schedule=None, catchup=False, tags=["revor"])
def example_outreach_pipeline():
    gate = SendableAccountSensor(
        task_id="gate",
        channel="email",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=timedelta(hours=12),
    )
    accounts = ListConnectAccountsOperator(task_id="accounts", channel="email", can_send=True)

    # What names people, or says something to them, is no one's business in a log.
    @task(show_return_value_in_logs=False)
    def leads() -> list[dict[str, Any]]:
        # Yours come from a database or a CRM.
        return [
            {"id": 1, "name": "Ada", "address": "ada@example.com"},
            {"id": 2, "name": "Grace", "address": "grace@example.com"},
            {"id": 3, "name": "Edsger", "address": "edsger@example.com"},
        ]

    @task(show_return_value_in_logs=False)
    def compose(leads: list[dict[str, Any]], accounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "account_id": pick_account(accounts, "sticky", key=lead["id"])["account_id"],
                "recipient": {"address": lead["address"], "name": lead["name"]},
                "content": {"subject": "Hello", "text": f"Hello {lead['name']}, shall we talk?"},
            }
            for lead in leads
        ]

    send = OutreachDispatchOperator.partial(
        task_id="send",
        channel="email",
        min_channel_task_interval_seconds=(180, 360),
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        retries=2,
    ).expand_kwargs(compose(leads(), accounts.output))

    @task(trigger_rule="all_done")
    def summarize(jobs: list[dict[str, Any]]) -> dict[str, int]:
        # What failed has no XCom.
        summary = Counter(job["status"] for job in jobs)
        print(f"Sent: {summary['succeeded']}.")
        return dict(summary)

    gate >> accounts
    summarize(send.output)


example_outreach_pipeline()
