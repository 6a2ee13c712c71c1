"""Like a recent post of each lead on LinkedIn, then send an invitation."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_revor.operators.outreach import LinkedInPostLikeOperator, OutreachDispatchOperator
from airflow_provider_revor.operators.summary import OutreachSummaryOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor


@dag(schedule=None, catchup=False, tags=["revor"], doc_md=__doc__, dag_display_name="Revor: like, then invite")
def example_post_like_warmup():
    gate = SendableAccountSensor(
        task_id="gate",
        task_display_name="Wait until a LinkedIn account can send",
        doc_md="Its log says why each account cannot send, and where to reconnect it. Then the gate opens by itself.",
        channel="linkedin",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=timedelta(hours=12),
    )

    # Keep names out of logs.
    @task(task_display_name="Read the leads", show_return_value_in_logs=False)
    def profiles() -> list[str]:
        """Yours come from a database or a CRM."""
        return ["https://www.linkedin.com/in/ada-example", "https://www.linkedin.com/in/grace-example"]

    urls = profiles()
    like = LinkedInPostLikeOperator.partial(
        task_id="like",
        task_display_name="Like a post of each lead",
        doc_md="One task for each lead. Without a relevant recent post nothing is liked, and the task succeeds.",
        account_id=gate.output["account_id"],
        topic="data engineering",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        retries=2,
    ).expand(profile_url=urls)

    invite = OutreachDispatchOperator.partial(
        task_id="invite",
        task_display_name="Invite each lead once",
        doc_md="One task for each lead. A retry, or a clear after success, sends nothing twice.",
        account_id=gate.output["account_id"],
        channel="linkedin",
        content={"text": "Hello, I enjoyed what you wrote. Shall we connect?"},
        min_channel_task_interval_seconds=(180, 360),
        # A lead that has posted nothing, or could not be liked, is invited all the same.
        trigger_rule="all_done",
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        retries=2,
    ).expand(recipient=urls.map(lambda url: {"profile_url": url}))

    # They run whatever happened before, and turn the run red.
    OutreachSummaryOperator(
        task_id="liked",
        task_display_name="Verdict on the likes",
        doc_md="Fails if nothing was liked, or more than half failed.",
        jobs=like.output,
        expected=urls,
        max_failed=0.5,
    )
    OutreachSummaryOperator(
        task_id="invited",
        task_display_name="Verdict on the invitations",
        doc_md="Fails if an invitation failed, or none was sent.",
        jobs=invite.output,
        expected=urls,
    )

    like >> invite


example_post_like_warmup()
