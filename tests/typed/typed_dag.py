"""
A Dag for mypy alone: never run. ``make lint`` checks it, and a needless ``type: ignore`` is an error there.

So each line with one shows that mypy finds a mistake, and each line without one that it accepts what is right.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.common.compat.sdk import DAG, BaseNotifier, task

from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.outreach import LinkedInPostLikeOperator, OutreachDispatchOperator
from airflow_provider_revor.operators.summary import OutreachSummaryOperator
from airflow_provider_revor.retry_policy import RevorRetryPolicy
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor
from airflow_provider_revor.typing import Content


@task
def read_lead() -> str:
    return "lead-1"


def on_failure(context: object) -> None: ...


class Notifier(BaseNotifier):
    def notify(self, context: object) -> None: ...


def by_hook(hook: RevorHook) -> None:
    hook.create_outreach_dispatch("a", "email", {"address": "x"}, {"subject": "s", "html": "h"}, idempotency_key="k")
    hook.create_outreach_dispatch("a", "email", {"adres": "x"}, {}, idempotency_key="k")  # type: ignore[typeddict-unknown-key]
    hook.create_outreach_dispatch("a", "email", {}, {"txt": "t"}, idempotency_key="k")  # type: ignore[typeddict-unknown-key]


with DAG("typed", schedule=None):
    lead = read_lead()
    ListConnectAccountsOperator(task_id="list", channel=lead, sendable=True, can_send="{{ params.can }}", retries=2)
    ListConnectAccountsOperator(task_id="misspelt", sendabel=True)  # type: ignore[call-arg]
    gate = SendableAccountSensor(
        task_id="gate",
        revor_conn_id="revor_eu",
        channel="{{ params.channel }}",
        pick="sticky",
        sticky_key=lead,
        poke_interval=timedelta(minutes=1),
        timeout=3600,
        mode="reschedule",
        retries=2,
        retry_policy=RevorRetryPolicy(),
        on_failure_callback=[on_failure],
        pool="revor",
    )
    SendableAccountSensor(task_id="that", account_id=gate.output["account_id"], revor_conn_id=lead)
    OutreachJobSensor(task_id="job", job_id=lead, deferrable=True, soft_fail=True)
    OutreachJobSensor.partial(task_id="jobs").expand(job_id=lead)
    EMAIL: Content = {"subject": "Hello", "text": "Hello {{ params.name }}"}
    send = OutreachDispatchOperator(
        task_id="send",
        account_id=gate.output["account_id"],
        channel="email",
        recipient=lead,
        content=EMAIL,
        min_channel_task_interval_seconds=(180, 360),
        wait_for_completion=False,
        on_failure_callback=on_failure,
    )
    OutreachJobSensor(task_id="sent", job_id=send.output["job_id"])
    OutreachDispatchOperator.partial(task_id="all", channel="email").expand_kwargs(lead)
    LinkedInPostLikeOperator(task_id="like", profile_url=lead, topic="hiking", account_id=gate.output["account_id"])
    batch = OutreachBatchOperator(
        task_id="batch", messages=lead, on_invalid="skip", max_failed=0.1, timeout=timedelta(days=3), retries=2
    )
    OutreachBatchOperator(
        task_id="literal",
        messages=[
            {
                "account_id": gate.output["account_id"],
                "channel": "email",
                "recipient": {"address": "{{ params.address }}", "profile_url": "https://www.linkedin.com/in/ada"},
                "content": EMAIL,
                "metadata": {"any": ["thing"]},
                "reference": 7,
            }
        ],
        max_failed=5,
    )
    OutreachDispatchOperator(
        task_id="nested",
        account_id="a",
        channel="whatsapp",
        recipient={"phone": lead, "name": "Ada"},
        content={"text": lead, "attachments": [{"filename": "a.pdf", "contentBase64": lead}]},
        on_failure_callback=[on_failure],
        on_success_callback=(on_failure, on_failure),
        on_retry_callback=Notifier(),
    )
    OutreachSummaryOperator(task_id="verdict", jobs=batch.output["jobs"], expected=lead, max_failed=0.1)

    OutreachBatchOperator(task_id="excludes", messages=lead, exclude={"ada@example.com", "+49 30 1234567"})
    OutreachBatchOperator(task_id="x", messages=lead, exclude=(one for one in ["a@b.c"]))  # type: ignore[arg-type]

    SendableAccountSensor()  # type: ignore[call-arg]
    OutreachBatchOperator(task_id="x")  # type: ignore[call-arg]
    OutreachBatchOperator(task_id="x", messages=lead, on_invalid="ask")  # type: ignore[arg-type]
    OutreachBatchOperator(task_id="x", messages=lead, max_fialed=1)  # type: ignore[call-arg]
    OutreachSummaryOperator(task_id="x", jobs=lead, max_failed="5")  # type: ignore[arg-type]
    SendableAccountSensor(task_id="x", deferable=True)  # type: ignore[call-arg]
    SendableAccountSensor(task_id="x", timeuot=60)  # type: ignore[call-arg]
    SendableAccountSensor(task_id="x", timeout="60")  # type: ignore[arg-type]
    SendableAccountSensor(task_id="x", pick="best")  # type: ignore[arg-type]
    SendableAccountSensor(task_id="x", mode="deferred")  # type: ignore[arg-type]
    SendableAccountSensor(task_id="x", channel=5)  # type: ignore[arg-type]
    OutreachJobSensor(task_id="x")  # type: ignore[call-arg]
    OutreachJobSensor(task_id="x", job_id="job_1", start_from_trigger=True)  # type: ignore[call-arg]
    OutreachDispatchOperator(task_id="x", account_id="a", channel="email", recipient={})  # type: ignore[call-arg]
    OutreachDispatchOperator(  # type: ignore[call-arg]
        task_id="x", account_id="a", channel="email", recipient={}, content=EMAIL, wait_for_completon=False
    )
    OutreachDispatchOperator(
        task_id="x",
        account_id="a",
        channel="email",
        recipient="ada@example.com",  # type: ignore[arg-type]
        content=EMAIL,
    )
    OutreachDispatchOperator(
        task_id="x",
        account_id="a",
        channel="email",
        recipient={"adress": "ada@example.com"},  # type: ignore[arg-type]
        content={"subject": 5},  # type: ignore[arg-type]
    )
    OutreachDispatchOperator(
        task_id="x",
        account_id="a",
        channel="linkedin",
        recipient=lead,
        content={"text": "Hello", "attachments": [{"filename": "a.pdf"}]},  # type: ignore[arg-type]
    )
    OutreachBatchOperator(task_id="x", messages=[{"account_id": "a", "channel": "email"}])  # type: ignore[typeddict-item]
    LinkedInPostLikeOperator(task_id="x", profile_url="u", topic=lead, post_limt=5)  # type: ignore[call-arg]
