from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.operators.batch import OutreachBatchOperator

MESSAGES = [
    {
        "reference": "crm-1",
        "account_id": "acc_1",
        "channel": "email",
        "recipient": {"address": "ada@example.com"},
        "content": {"subject": "Hello", "text": "Hello Ada, shall we talk?"},
    },
]


@dag(schedule=None)
def batch_rows():
    send = OutreachBatchOperator(task_id="send", messages=MESSAGES)

    # Airflow maps over return values only: this task makes one of the XCom `jobs`.
    @task
    def rows(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return jobs

    @task
    def write_to_crm(row: dict[str, Any]) -> str:
        return f"{row['reference']}: {row['status']}"

    write_to_crm.expand(row=rows(send.output["jobs"]))


batch_rows()
