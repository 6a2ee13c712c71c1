from airflow.providers.common.compat.sdk import DAG

from airflow_provider_revor.operators.outreach import OutreachDispatchOperator

with DAG("own_key", schedule=None) as dag:
    OutreachDispatchOperator(
        task_id="send",
        account_id="acc_1",
        channel="email",
        recipient={"address": "ada@example.com"},
        content={"subject": "Our offer", "text": "Hello Ada, here is our offer."},
        # Once for this offer and person, whatever Dag run sends it.
        idempotency_key="offer-2026-11:ada",
    )
