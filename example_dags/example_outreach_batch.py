"""Write to a whole list of people in one task: each once, one trigger for all, and a summary at the end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.selection import pick_account


@dag(schedule=None, catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: write to a list")
def example_outreach_batch():
    accounts = ListConnectAccountsOperator(
        task_id="accounts",
        task_display_name="List the senders",
        doc_md="Returns the email accounts that can send.",
        channel="email",
        sendable=True,
    )

    # Keep names and messages out of logs.
    @task(task_display_name="Compose the messages", show_return_value_in_logs=False)
    def compose(accounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give each lead a sender, always the same one, and a text."""
        # Yours come from a database or a CRM: up to 10,000.
        leads = [(number, f"lead{number}@example.com") for number in range(1, 21)]
        return [
            {
                "reference": f"crm-{number}",
                "account_id": pick_account(accounts, "sticky", key=number)["account_id"],
                "channel": "email",
                "recipient": {"address": address},
                "content": {"subject": "Hello", "text": "Hello, shall we talk?"},
            }
            for number, address in leads
        ]

    OutreachBatchOperator(
        task_id="send",
        task_display_name="Write to each person once",
        doc_md="Sends all messages, then waits without a worker. Returns how many were sent, and why others were not.",
        messages=compose(accounts.output),
        # Above a tenth, the task fails.
        max_failed=0.1,
        timeout=timedelta(days=3),
        retries=2,
    )


example_outreach_batch()
