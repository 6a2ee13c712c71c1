"""Plan who is written to from which account, let a person approve it in Airflow's UI, then send. For Airflow 3.1+."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag, task

from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.selection import plan_outreach

CONTENT = {
    "email": {"subject": "Hello", "text": "Hello, shall we talk?"},
    "linkedin": {"text": "Hello, shall we connect?"},
}


@dag(schedule=None, catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: send after an approval")
def example_outreach_with_approval():
    accounts = ListConnectAccountsOperator(
        task_id="accounts",
        task_display_name="List the senders",
        doc_md="Returns the accounts that can send, of each channel.",
        sendable=True,
    )

    # Keep names and messages out of logs.
    @task(task_display_name="Plan who is written to", show_return_value_in_logs=False)
    def plan(accounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give each person a channel and a sender. The log says who is left over."""
        # Yours come from a database or a CRM.
        people = [
            {"id": "crm-1", "name": "Ada", "address": "ada@example.com"},
            {"id": "crm-2", "name": "Grace", "profile_url": "https://www.linkedin.com/in/grace-example"},
            {"id": "crm-3", "name": "Edsger"},
        ]
        assigned, left_over = plan_outreach(people, accounts, key="id", most_per_account=100)
        print(f"Left over: {left_over}")
        return [{**message, "content": CONTENT[message["channel"]]} for _, message in assigned]

    messages = plan(accounts.output)
    preview = OutreachBatchOperator(
        task_id="preview",
        task_display_name="Preview: send nothing",
        doc_md="Checks the messages and counts them by account. Nothing is sent.",
        messages=messages,
        preview=True,
    )
    approve = ApprovalOperator(
        task_id="approve",
        task_display_name="A person approves it",
        doc_md="Open *Required Actions* above: nothing is sent before somebody approves the numbers there.",
        subject="Send {{ ti.xcom_pull(task_ids='preview')['to_send'] }} messages?",
        # Airflow shows it as Markdown.
        body="```json\n{{ ti.xcom_pull(task_ids='preview') | tojson(indent=2) }}\n```",
    )
    send = OutreachBatchOperator(
        task_id="send",
        task_display_name="Write to each person once",
        doc_md="Sends all messages, then waits without a worker. Returns how many were sent, and why others were not.",
        messages=messages,
        max_failed=0.1,
        timeout=timedelta(days=3),
        retries=2,
    )
    preview >> approve >> send


example_outreach_with_approval()
