from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG("sticky_gate", schedule=None, params={"lead_id": 7}) as dag:
    SendableAccountSensor(
        task_id="gate",
        channel="email",
        pick="sticky",
        sticky_key="{{ params.lead_id }}",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=timedelta(hours=12),
    )
