"""A Dag that renders to native objects makes numbers of ids, phones and texts: each is sent as the text it was."""

from __future__ import annotations

import pytest

DAG_FILE = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.operators.outreach import LinkedInPostLikeOperator, OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor

params = {
    "account": "1001", "profile": "77", "phone": "4915112345678", "name": "8", "text": "42", "price": "4.5",
    "can": "True", "key": "12", "job": "5",
}
with DAG("native", schedule=None, render_template_as_native_obj=True, params=params) as native:
    wait = {"poke_interval": 0.1, "deferrable": False}
    ListConnectAccountsOperator(task_id="list", can_send="{{ params.can }}", sendable="{{ params.can }}") >> (
        SendableAccountSensor(task_id="gate", account_id="{{ params.account }}", **wait)
    ) >> SendableAccountSensor(task_id="sticky", pick="sticky", sticky_key="{{ params.key }}", **wait) >> (
        OutreachDispatchOperator(
            task_id="send",
            account_id="{{ params.account }}",
            channel="whatsapp",
            recipient={"phone": "{{ params.phone }}", "name": "{{ params.name }}"},
            content={
                "text": "{{ params.text }}",
                "attachments": [{"filename": "{{ params.key }}", "contentBase64": "QQ=="}],
            },
            idempotency_key="{{ params.key }}",
            **wait,
        )
    ) >> LinkedInPostLikeOperator(
        task_id="like",
        profile_url="{{ params.profile }}",
        topic="{{ params.price }}",
        account_id="1002",
        campaign="{{ params.key }}",
        **wait,
    ) >> OutreachJobSensor(task_id="job", job_id="{{ params.job }}", **wait)

with DAG("booleans", schedule=None, render_template_as_native_obj=True, params={"phone": "True"}) as booleans:
    OutreachDispatchOperator(
        task_id="send", account_id="1001", channel="whatsapp", recipient={"phone": "{{ params.phone }}"},
        content={"text": "x"}, retries=3,
    )
"""


@pytest.fixture
def dags(dag_file, revor_sandbox):
    revor_sandbox.set_accounts(
        [{"account_id": "1001", "channel": "whatsapp"}, {"account_id": "1002", "channel": "linkedin"}]
    )
    return dag_file("native_dag", DAG_FILE)


def test_numbers_are_sent_as_the_text_that_they_were(dags, revor_sandbox):
    states = {ti.task_id: str(ti.state) for ti in dags.native.test().get_task_instances()}

    # The sandbox knows no job 5: that it was asked for is all there is to see.
    assert states == {**dict.fromkeys(("list", "gate", "sticky", "send", "like"), "success"), "job": "failed"}
    message, post_like = revor_sandbox.outbox
    assert message.account_id == "1001"
    assert message.recipient == {"phone": "4915112345678", "name": "8"}
    assert message.content == {"text": "42", "attachments": [{"filename": "12", "contentBase64": "QQ=="}]}
    assert message.idempotency_key == "12"
    assert post_like.body == {"profile_url": "77", "topic": "4.5", "account_id": "1002"}
    assert revor_sandbox.requests[-1].path.endswith("/jobs/5")


def test_a_boolean_is_refused_before_anything_is_sent(dags, revor_sandbox):
    (send,) = dags.booleans.test().get_task_instances()
    assert str(send.state) == "failed"
    assert revor_sandbox.request_count == 0
