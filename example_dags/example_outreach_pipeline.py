"""The whole job: wait for an account, keep each lead with its sender, write to each lead once, and give a verdict."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, dag, task

from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.selection import pick_account
from airflow_provider_revor.sensors.connect import SendableAccountSensor

# How many messages may fail before the run fails is yours to say.
MAX_FAILED = 0


@dag(schedule=None, catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: the whole pipeline")
def example_outreach_pipeline():
    gate = SendableAccountSensor(
        task_id="gate",
        task_display_name="Wait until an email account can send",
        doc_md="Its log says why each account cannot send, and where to reconnect it. Then the gate opens by itself.",
        channel="email",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=timedelta(hours=12),
    )
    accounts = ListConnectAccountsOperator(
        task_id="accounts",
        task_display_name="List the senders",
        doc_md="Returns the email accounts that can send.",
        channel="email",
        sendable=True,
    )

    # Keep names and messages out of logs.
    @task(task_display_name="Read the leads", show_return_value_in_logs=False)
    def leads() -> list[dict[str, Any]]:
        """Yours come from a database or a CRM."""
        return [
            {"id": 1, "name": "Ada", "address": "ada@example.com"},
            {"id": 2, "name": "Grace", "address": "grace@example.com"},
            {"id": 3, "name": "Edsger", "address": "edsger@example.com"},
        ]

    @task(task_display_name="Compose the messages", show_return_value_in_logs=False)
    def compose(leads: list[dict[str, Any]], accounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give each lead a sender, always the same one, and a text."""
        return [
            {
                "account_id": pick_account(accounts, "sticky", key=lead["id"])["account_id"],
                "recipient": {"address": lead["address"], "name": lead["name"]},
                "content": {"subject": "Hello", "text": f"Hello {lead['name']}, shall we talk?"},
            }
            for lead in leads
        ]

    messages = compose(leads(), accounts.output)
    send = OutreachDispatchOperator.partial(
        task_id="send",
        task_display_name="Write to each lead once",
        doc_md="One task for each message. A retry, or a clear after success, sends nothing twice.",
        channel="email",
        min_channel_task_interval_seconds=(180, 360),
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        retries=2,
    ).expand_kwargs(messages)

    # It runs whatever happened before, and turns the run red if messages failed.
    @task(trigger_rule="all_done", task_display_name="Give a verdict")
    def verdict(messages: list[dict[str, Any]] | None, jobs: list[dict[str, Any]] | None) -> dict[str, int]:
        """Count what was sent; fail if messages failed."""
        # A task that failed may leave no XCom, so count what was sent against what was to be sent.
        sent = sum(job["status"] == "succeeded" for job in jobs or ())
        failed = len(messages or ()) - sent
        print(f"Sent: {sent}. Failed: {failed}.")
        if failed > MAX_FAILED or not sent:
            raise AirflowFailException(f"{failed} messages failed and {sent} were sent: see the tasks `send`.")
        return {"sent": sent, "failed": failed}

    gate >> accounts
    verdict(messages, send.output)


example_outreach_pipeline()
