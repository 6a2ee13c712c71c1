from datetime import timedelta

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.sensors.connect import SendableAccountSensor


@dag(schedule=None)
def no_account():
    # When the time is up it is skipped, not failed.
    gate = SendableAccountSensor(task_id="gate", channel="email", timeout=timedelta(hours=1), soft_fail=True)

    @task
    def send() -> str:
        return "An account can send."

    @task(trigger_rule="all_skipped")
    def ask_a_person() -> str:
        return "No email account could send for an hour: https://revor.ai/console/connect"

    gate >> [send(), ask_a_person()]


no_account()
