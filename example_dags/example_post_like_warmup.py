"""Like a recent post of each lead on LinkedIn, then send an invitation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, dag, task

from airflow_provider_revor.operators.outreach import LinkedInPostLikeOperator, OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor


@dag(schedule=None, catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: like, then invite")
def example_post_like_warmup():
    gate = SendableAccountSensor(
        task_id="gate",
        channel="linkedin",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=timedelta(hours=12),
    )

    # Keep names out of logs.
    @task(show_return_value_in_logs=False)
    def profiles() -> list[str]:
        # Yours come from a database or a CRM.
        return ["https://www.linkedin.com/in/ada-example", "https://www.linkedin.com/in/grace-example"]

    urls = profiles()
    like = LinkedInPostLikeOperator.partial(
        task_id="like",
        account_id=gate.output["account_id"],
        topic="data engineering",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        retries=2,
    ).expand(profile_url=urls)

    # A lead that has posted nothing, or could not be liked, is invited all the same.
    @task(trigger_rule="all_done")
    def tell(jobs: list[dict[str, Any]] | None) -> None:
        skipped = sum((job["result"] or {}).get("status") == "skipped" for job in jobs or ())
        print(f"{skipped} leads have no recent post that is relevant; the others were liked.")

    invite = OutreachDispatchOperator.partial(
        task_id="invite",
        account_id=gate.output["account_id"],
        channel="linkedin",
        content={"text": "Hello, I enjoyed what you wrote. Shall we connect?"},
        min_channel_task_interval_seconds=(180, 360),
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        retries=2,
    ).expand(recipient=urls.map(lambda url: {"profile_url": url}))

    # It runs whatever happened before, and turns the run red if an invitation failed.
    @task(trigger_rule="all_done")
    def verdict(urls: list[str] | None, jobs: list[dict[str, Any]] | None) -> None:
        # A task that failed may leave no XCom, so count what was sent against what was to be sent.
        invited = sum(job["status"] == "succeeded" for job in jobs or ())
        print(f"Invited: {invited} of {len(urls or ())}.")
        if not invited or invited < len(urls or ()):
            raise AirflowFailException("Not everybody was invited: see the tasks `invite`.")

    tell(like.output) >> invite
    verdict(urls, invite.output)


example_post_like_warmup()
