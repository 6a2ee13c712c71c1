from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG("outreach", schedule=None) as outreach:
    gate = SendableAccountSensor(task_id="gate", channel="email", deferrable=True, poke_interval=timedelta(seconds=1))
    OutreachDispatchOperator(
        task_id="send",
        account_id=gate.output["account_id"],
        channel="email",
        recipient={"address": "ada@example.com"},
        content={"subject": "Hello", "text": "Hello Ada, shall we talk?"},
        poke_interval=timedelta(seconds=1),
    )
