from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.sensors.outreach import OutreachJobSensor

with DAG("wait_elsewhere", schedule=None) as dag:
    send = OutreachDispatchOperator.partial(
        task_id="send",
        account_id="acc_1",
        channel="email",
        content={"subject": "Hello", "text": "Hello, shall we talk?"},
        # Each task ends once Revor has accepted its message.
        wait_for_completion=False,
    ).expand(recipient=[{"address": "ada@example.com"}, {"address": "grace@example.com"}])

    OutreachJobSensor.partial(
        task_id="sent", deferrable=True, poke_interval=timedelta(seconds=30), timeout=timedelta(days=1)
    ).expand(job_id=send.output.map(lambda job: job["id"]))
