"""List the Connect accounts, and run a task for each one that can send."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.operators.connect import ListConnectAccountsOperator


@dag(schedule=None, catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: list the accounts")
def example_list_accounts():
    accounts = ListConnectAccountsOperator(
        task_id="accounts",
        task_display_name="List the accounts that can send",
        doc_md="Returns a list with a dict for each. If none can send, the tasks behind it are skipped.",
        sendable=True,
    )

    @task(task_display_name="Greet each account", doc_md="One task for each account: the list is mapped over.")
    def greet(account: dict[str, Any]) -> str:
        print(f"{account['account_id']} sends on {account['channel']}")
        return account["account_id"]

    greet.expand(account=accounts.output)


example_list_accounts()
