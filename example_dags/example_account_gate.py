"""Wait until an account can send, then hand its id to the task that needs it."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor


@dag(schedule=None, catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: wait for an account")
def example_account_gate():
    accounts = ListConnectAccountsOperator(
        task_id="accounts",
        task_display_name="List the accounts",
        doc_md="Returns every Connect account, whether it can send or not.",
    )

    gate = SendableAccountSensor(
        task_id="gate",
        task_display_name="Wait until an email account can send",
        doc_md="Its log says why each account cannot send, and where to reconnect it. Then the gate opens by itself.",
        channel="email",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=timedelta(hours=12),
    )

    @task(task_display_name="Use that account")
    def use(account_id: str) -> str:
        """Yours goes here: it gets the id of the account that the gate has found."""
        print(f"Account {account_id} can send: this is where the outreach begins.")
        return account_id

    accounts >> gate >> use(gate.output["account_id"])


example_account_gate()
