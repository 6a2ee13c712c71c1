"""Wait until an account can send, and tell people if that takes longer than an hour: the wait goes on meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.sensors.connect import SendableAccountSensor


# A notifier fits as well, such as SlackNotifier(text="{{ revor_wait.message }}", channel="#outreach").
def tell_people(context: Any) -> None:
    wait = context["revor_wait"]
    print(f"After {wait['waited']}:", *wait["reasons"], wait["links"]["accounts"], sep="\n")


@dag(schedule=None, catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: a gate that tells people")
def example_gate_tells_people():
    gate = SendableAccountSensor(
        task_id="gate",
        task_display_name="Wait until an email account can send",
        doc_md="After an hour it calls `tell_people`, once, with the reasons and the links. It waits on meanwhile.",
        channel="email",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=timedelta(hours=12),
        notify_after=timedelta(hours=1),
        on_waiting_callback=tell_people,
    )

    @task(task_display_name="Use that account")
    def use(account_id: str) -> str:
        """Yours goes here: it gets the id of the account that the gate has found."""
        print(f"Account {account_id} can send: this is where the outreach begins.")
        return account_id

    use(gate.output["account_id"])


example_gate_tells_people()
