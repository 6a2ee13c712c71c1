"""A Dag run that began under one version of Revor's API goes on under it, though the connection changes."""

from __future__ import annotations

import asyncio
import logging

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from outreach_tasks import Store, context, dispatch

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.sensors.outreach import OutreachJobSensor
from airflow_provider_revor.triggers.batch import OutreachBatchTrigger
from airflow_provider_revor.triggers.outreach import OutreachJobTrigger
from airflow_provider_revor.triggers.xcoms import TaskXComs


@pytest.fixture
def use(revor_sandbox, connect):
    """Return a function that sets the version of the connection."""
    revor_sandbox.set_accounts([{"account_id": "acc_email", "channel": "email"}])
    revor_sandbox.script_jobs(after=None, times=None)

    def use(version):
        extra = {"api_version": version, "max_retries": 0}
        connect(host=revor_sandbox.url, password=revor_sandbox.api_key, extra=extra)

    use("v1")
    return use


def versions(sandbox):
    """The versions that were asked, in the order of the requests."""
    return [record.path.split("/")[2] for record in sandbox.requests]


def defer(task, context):
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    return deferred.value.trigger


def look(trigger, seen):
    """Let a trigger wait until something is seen of it."""

    async def look():
        task = asyncio.ensure_future(anext(trigger.run()))
        async with asyncio.timeout(30):
            while not seen():
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(look())


def test_a_retry_asks_for_its_job_by_the_version_that_made_it(revor_sandbox, use):
    store = Store()
    defer(dispatch(deferrable=True), context(store=store))
    use("v2")
    defer(dispatch(deferrable=True), context(2, store=store, automatic=True))
    assert (len(revor_sandbox.jobs), set(versions(revor_sandbox))) == (1, {"v1"})


def test_a_try_that_died_before_it_learned_of_a_job_is_completed_under_its_version(revor_sandbox, use):
    store = Store()
    revor_sandbox.lose_answer(method="POST")
    with pytest.raises(e.RevorConnectionError):
        dispatch().execute(context(store=store))
    use("v2")
    defer(dispatch(deferrable=True), context(2, store=store, automatic=True))
    assert (len(revor_sandbox.jobs), set(versions(revor_sandbox))) == (1, {"v1"})


def test_a_new_attempt_is_made_by_the_version_of_today(revor_sandbox, use):
    store = Store()
    defer(dispatch(deferrable=True), context(store=store))
    revor_sandbox.finish_job(revor_sandbox.jobs[0]["id"], "failed")
    use("v2")
    defer(dispatch(deferrable=True), context(2, store=store))
    assert len(revor_sandbox.jobs) == 2
    assert versions(revor_sandbox) == ["v1", "v1", "v1", "v2", "v2"]
    # And found by it.
    use("v1")
    defer(dispatch(deferrable=True), context(3, store=store, automatic=True))
    assert versions(revor_sandbox)[-1] == "v2"


def test_a_trigger_goes_on_with_the_version_of_its_job(revor_sandbox, use, monkeypatch):
    monkeypatch.setattr(OutreachJobTrigger, "log", logging.getLogger("trigger"))
    _, arguments = defer(dispatch(deferrable=True), context()).serialize()
    use("v2")
    look(OutreachJobTrigger(**{**arguments, "first_poll_at": None}), lambda: len(versions(revor_sandbox)) > 2)
    assert set(versions(revor_sandbox)) == {"v1"}


def test_a_batch_asks_for_each_job_by_the_version_that_made_it(revor_sandbox, use, monkeypatch):
    monkeypatch.setattr(OutreachBatchTrigger, "log", logging.getLogger("trigger"))
    values, store = {}, Store()
    monkeypatch.setattr(TaskXComs, "get", lambda self, key: values.get(key))
    first, second = (
        {
            "account_id": "acc_email",
            "channel": "email",
            "recipient": {"address": f"{name}@example.com"},
            "content": {"subject": "Hello", "text": "Hello"},
        }
        for name in ("ada", "bob")
    )
    defer(OutreachBatchOperator(task_id="send", messages=[first]), context(pushed=values, store=store))
    use("v2")
    # Cleared, with one more person in the list.
    task = OutreachBatchOperator(task_id="send", messages=[first, second], max_requests_per_minute=6_000)
    task.poke_interval = 0.1
    trigger = defer(task, context(2, pushed=values, store=store))
    assert [row["api_version"] for row in values["jobs"]] == ["v1", "v2"]
    assert len(revor_sandbox.jobs) == 2
    revor_sandbox.reset_requests()
    look(trigger, lambda: revor_sandbox.request_count >= 2)
    asked = {record.path for record in revor_sandbox.requests}
    ids = [job["id"] for job in revor_sandbox.jobs]
    assert asked == {f"/api/v1/outreach/jobs/{ids[0]}", f"/api/v2/jobs/{ids[1]}"}


def test_a_sensor_goes_on_with_the_version_that_it_began_with(revor_sandbox, use):
    content = {"subject": "Hello", "text": "Hello"}
    with RevorHook() as hook:
        job = hook.create_outreach_dispatch("acc_email", "email", {"address": "a@b.c"}, content, idempotency_key="k")
    sensor = OutreachJobSensor(task_id="wait", job_id=job.id, deferrable=True)
    trigger = defer(sensor, context())
    assert trigger.api_version == "v1"
    sensor = OutreachJobSensor(task_id="wait", job_id=job.id)
    assert not sensor.poke(context())
    use("v2")
    assert not sensor.poke(context())
    assert set(versions(revor_sandbox)) == {"v1"}
