"""Both versions of the API, against the sandbox."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.operators.cancel import CancelOutreachJobOperator

CONTENT = {"subject": "Hello", "text": "Hello"}


@pytest.fixture(params=["v1", "v2"])
def version(request, revor_sandbox, connect):
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key, extra={"api_version": request.param})
    off = {"account_id": "acc_2", "channel": "email", "status": "error"}
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}, off])
    return request.param


def send(hook):
    return hook.create_outreach_dispatch("acc_1", "email", {"address": "a@example.com"}, CONTENT, idempotency_key="k")


def test_each_call_goes_to_the_version_that_the_connection_says(revor_sandbox, version):
    revor_sandbox.script_jobs("settling", after=None)

    async def awaited(job_id):
        async with RevorHook() as hook:
            return await hook.alist_connect_accounts(), await hook.aget_outreach_job(job_id)

    with RevorHook() as hook:
        accounts, job = hook.list_connect_accounts(), send(hook)
        assert hook.get_outreach_job(job.id).ended is False
        assert hook.request("GET", "connect/accounts")["items"]
        assert asyncio.run(awaited(job.id))[0] == accounts
        paths = [record.path for record in revor_sandbox.requests]
        assert {path.split("/")[2] for path in paths} == {version}
        # A path that names its version is taken as it is.
        other = "v1" if version == "v2" else "v2"
        assert hook.request("GET", f"/api/{other}/connect/accounts")["items"]
    assert [account.sendable for account in accounts] == [True, version == "v2"]


def test_the_test_button_tells_the_credits_of_v2(revor_sandbox, version):
    for left, words in ((41, "41"), (1_234_567, "1,234,567")):
        revor_sandbox.set_credits(left)
        ok, message = RevorHook().test_connection()
        assert ok
        assert (f" {words} credits are left." in message) is (version == "v2")
        assert RevorHook().get_credits() == left


@pytest.mark.parametrize("version", ["v1"], indirect=True)
def test_a_version_that_the_caller_names_goes_before_the_connections(revor_sandbox, version):
    revor_sandbox.script_jobs(scheduled_in=3_600)
    with RevorHook(api_version=" V2") as hook:
        assert hook.cancel_outreach_job(send(hook).id).status == "cancelled"
        assert {record.path.split("/")[2] for record in revor_sandbox.requests} == {"v2"}
    with pytest.raises(e.RevorValueError, match="must be v1 or v2"):
        RevorHook(api_version="v3").list_connect_accounts()


def test_a_version_that_is_none_is_refused(connect):
    connect(extra={"api_version": "v3"})
    with pytest.raises(e.RevorConfigurationError, match="`api_version` that is neither v1 nor v2"):
        RevorHook().list_connect_accounts()


def cancel(job_id, **kwargs):
    return CancelOutreachJobOperator(task_id="cancel", job_id=job_id, **kwargs).execute({})


def test_a_job_that_has_not_begun_is_cancelled(revor_sandbox, version):
    revor_sandbox.script_jobs(scheduled_in=3_600)
    with RevorHook() as hook:
        job = send(hook)
    if version == "v1":
        with pytest.raises(e.RevorConfigurationError, match="cannot cancel"):
            cancel(job.id)
        assert revor_sandbox.request_count == 1
        return
    # Once more is no harm.
    assert [cancel(job.id, must_cancel=True)["status"] for _ in range(2)] == ["cancelled"] * 2
    assert revor_sandbox.outbox == []


@pytest.mark.parametrize("version", ["v2"], indirect=True)
@pytest.mark.parametrize(("script", "status"), [({"after": None}, "running"), ({}, "succeeded")])
def test_a_job_that_runs_or_has_ended_is_told_of(revor_sandbox, version, script, status):
    revor_sandbox.script_jobs(**script)
    with RevorHook() as hook:
        job = send(hook)
    assert cancel(job.id)["status"] == status
    with pytest.raises(e.RevorJobFailedError, match=f"{status} on connection .* it was not cancelled"):
        cancel(job.id, must_cancel=True)


def cancel_sync(job_id):
    with RevorHook(max_retries=0) as hook:
        return hook.cancel_outreach_job(job_id)


def cancel_async(job_id):
    async def ask():
        async with RevorHook(max_retries=0) as hook:
            return await hook.acancel_outreach_job(job_id)

    return asyncio.run(ask())


@pytest.mark.parametrize("cancel_job", [cancel_sync, cancel_async])
def test_cancelling_is_the_same_when_awaited(revor_sandbox, version, cancel_job):
    revor_sandbox.script_jobs(scheduled_in=3_600)
    with RevorHook() as hook:
        job = send(hook)
    if version == "v1":
        with pytest.raises(e.RevorConfigurationError, match="cannot cancel"):
            cancel_job(job.id)
        assert revor_sandbox.request_count == 1
        return
    revor_sandbox.fail(503, method="POST")
    with pytest.raises(e.RevorServerError):
        cancel_job(job.id)
    revor_sandbox.fail(409, code="job_is_starting", method="POST")
    with pytest.raises(e.RevorConflictError, match="did not cancel the job .*: look at the job again"):
        cancel_job(job.id)
    assert cancel_job(job.id).status == "cancelled"
    # However Revor rejects the cancel of a job that has ended: the job says how it stands.
    for status in (400, 404, 409, 422):
        revor_sandbox.fail(status, code="job_not_cancellable", method="POST")
        assert cancel_job(job.id).status == "cancelled"


ODD = [
    pytest.param(204, "", id="nothing"),
    pytest.param(200, {"ok": True}, id="no-item"),
    pytest.param(202, {"item": None}, id="null"),
    pytest.param(200, {"item": {"id": "job_other", "status": "cancelled"}}, id="another-job"),
    pytest.param(200, "cancelled", id="text"),
    pytest.param(200, [], id="list"),
    pytest.param(200, {"ok": False}, id="not-ok"),
    pytest.param(404, "<html>", id="page"),
    pytest.param(409, "", id="bare-409"),
]


@pytest.mark.parametrize("version", ["v2"], indirect=True)
@pytest.mark.parametrize("cancel_job", [cancel_sync, cancel_async])
@pytest.mark.parametrize(("status", "body"), ODD)
def test_whatever_a_cancel_responds_the_job_is_asked_for(revor_sandbox, version, cancel_job, status, body):
    revor_sandbox.script_jobs(scheduled_in=3_600)
    with RevorHook() as hook:
        job = send(hook)
    revor_sandbox.finish_job(job.id, "cancelled")
    revor_sandbox.answer(status, body, method="POST")
    assert cancel_job(job.id).status == "cancelled"


@pytest.mark.parametrize("version", ["v2"], indirect=True)
@pytest.mark.parametrize("cancel_job", [cancel_sync, cancel_async])
@pytest.mark.parametrize(
    ("status", "error"),
    [(400, e.RevorRequestError), (404, e.RevorNotFoundError), (409, e.RevorConflictError), (422, e.RevorRequestError)],
)
def test_a_rejected_cancel_of_a_job_that_has_not_begun_is_an_error(revor_sandbox, version, cancel_job, status, error):
    revor_sandbox.script_jobs(scheduled_in=3_600)
    with RevorHook() as hook:
        job = send(hook)
    revor_sandbox.fail(status, code="some_code", message="Not today.", method="POST")
    with pytest.raises(error, match=r"Not today\."):
        cancel_job(job.id)
    assert revor_sandbox.jobs[0]["status"] == "scheduled"


@pytest.mark.parametrize("version", ["v2"], indirect=True)
@pytest.mark.parametrize("cancel_job", [cancel_sync, cancel_async])
def test_each_cancel_has_a_key_of_its_own_because_revor_may_repeat_a_response(revor_sandbox, version, cancel_job):
    revor_sandbox.script_jobs(scheduled_in=3_600)
    with RevorHook() as hook:
        job = send(hook)
    revor_sandbox.reset_requests()
    cancel_job(job.id)
    cancel_job(job.id)
    keys = [record.idempotency_key for record in revor_sandbox.requests if record.method == "POST"]
    assert (len(keys), len(set(keys))) == (2, 2)


@pytest.mark.parametrize("version", ["v2"], indirect=True)
def test_a_cancel_that_revor_has_accepted_and_not_yet_done_may_be_tried_again(revor_sandbox, version):
    revor_sandbox.script_jobs(scheduled_in=3_600)
    with RevorHook() as hook:
        job = send(hook)
    revor_sandbox.answer(202, {"ok": True}, method="POST", times=2)
    assert cancel(job.id)["status"] == "scheduled"
    with pytest.raises(e.RevorJobError, match="is scheduled on connection .* it was not cancelled") as raised:
        cancel(job.id, must_cancel=True)
    assert not isinstance(raised.value, e.RevorJobFailedError)


@pytest.mark.parametrize("version", ["v2"], indirect=True)
def test_a_job_that_there_is_not_cannot_be_cancelled(revor_sandbox, version):
    with pytest.raises(e.RevorNotFoundError):
        cancel("job_none")
    with pytest.raises(ValueError, match="job_id"):
        CancelOutreachJobOperator(task_id="cancel", job_id="")
