"""Run a Dag when an account becomes sendable, and another when one falls out. For Airflow 3.0+."""

from __future__ import annotations

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_provider_revor.triggers.connect import SendableAccountEventTrigger

email_ready = Asset(
    "revor_email_ready",
    watchers=[AssetWatcher(name="email_ready", trigger=SendableAccountEventTrigger(channel="email"))],
)
account_blocked = Asset(
    "revor_account_blocked",
    watchers=[AssetWatcher(name="account_blocked", trigger=SendableAccountEventTrigger(becomes="blocked"))],
)


@dag(
    schedule=[email_ready], catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: an account is ready"
)
def example_on_account_ready():
    @task(task_display_name="Begin with that account")
    def begin(triggering_asset_events=None) -> list[str]:
        """Yours goes here: it gets the id of each account that has become sendable."""
        # A run has one event or several, by Airflow's `[scheduler] batch_asset_events`, and an event may come twice.
        events = triggering_asset_events[email_ready]
        ready = list(dict.fromkeys(event.extra["payload"]["account_id"] for event in events))
        for account_id in ready:
            print(f"Account {account_id} can send: this is where the outreach begins.")
        return ready

    begin()


@dag(
    schedule=[account_blocked],
    catchup=False,
    tags=["revor"],
    doc_md=__doc__,
    dag_display_name="Revor: an account is blocked",
)
def example_on_account_blocked():
    @task(task_display_name="Tell people")
    def tell(triggering_asset_events=None) -> list[str]:
        """Yours goes here: it gets each account that can no longer send, and why."""
        blocked = [event.extra["payload"] for event in triggering_asset_events[account_blocked]]
        # Send it where people look: a chat, a pager, an email.
        return [
            f"Account {account['account_id']} can no longer send: {account['blocked_reason']}" for account in blocked
        ]

    tell()


example_on_account_ready()
example_on_account_blocked()
