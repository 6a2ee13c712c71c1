"""Both versions of the API: what they share, and what only v2 has."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_revor.sandbox.contract.errors import ERRORS

LIKE = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}
DISPATCH = {
    "account_id": "acc_email",
    "channel": "email",
    "action": "outreach",
    "recipient": {"address": "dana@example.com"},
    "content": {"subject": "Hello", "text": "Hello Dana"},
}
JOBS = {"v1": "/api/v1/outreach/jobs", "v2": "/api/v2/jobs"}


@pytest.fixture
def ask(ready):
    def send(path, method="GET", body=None, key=None, headers=None):
        headers = {"x-api-key": ready.api_key} if headers is None else headers
        headers |= {"Idempotency-Key": key} if key else {}
        return requests.request(method, f"{ready.url}{path}", json=body, headers=headers, timeout=30)

    return send


@pytest.fixture
def dispatch(ask):
    return lambda version="v2", key=None: ask(f"/api/{version}/outreach/dispatches", "POST", DISPATCH, key)


@pytest.fixture
def cancel(ask):
    return lambda job_id: ask(f"/api/v2/jobs/{job_id}/cancel", "POST")


def refusal(response):
    return response.status_code, response.json()["error"]["code"]


# What both have


def test_both_see_the_same_accounts(ask):
    v1, v2 = (ask(f"/api/{version}/connect/accounts?channel=email").json() for version in ("v1", "v2"))
    assert v1["items"] == v2["items"] != []
    assert refusal(ask("/api/v2/connect/accounts?channel=fax")) == (400, "invalid_channel")
    assert refusal(ask("/api/v2/connect/accounts", headers={})) == (401, "api_key_missing")


@pytest.mark.parametrize("made", JOBS)
@pytest.mark.parametrize("read", JOBS)
def test_both_see_the_same_jobs(ask, dispatch, made, read):
    item = dispatch(made).json()["item"]
    answer = ask(f"{JOBS[read]}/{item['id']}")
    assert (answer.status_code, answer.json()["item"]["status"]) == (200, "succeeded")


def test_each_has_job_paths_of_its_own(ask, dispatch):
    job_id = dispatch().json()["item"]["id"]
    assert refusal(ask(f"/api/v1/jobs/{job_id}")) == (404, "endpoint_not_found")
    assert refusal(ask(f"/api/v2/outreach/jobs/{job_id}")) == (404, "endpoint_not_found")
    assert refusal(ask("/api/v2/jobs/job_no")) == (404, "external_api_job_not_found")


def test_a_key_holds_for_one_version(ready, dispatch):
    v1, v2, again = (dispatch(version, "k1").json()["item"] for version in ("v1", "v2", "v2"))
    assert v1["id"] != v2["id"]
    assert again == v2
    assert len(ready.jobs) == 2


def test_post_likes_are_in_both(ready, ask):
    assert ask("/api/v2/outreach/linkedin/post-likes", "POST", LIKE).status_code == 202
    assert ready.outbox[0].action == "outreach.linkedin.post_like"


# Sendable


@pytest.mark.parametrize(
    ("status", "can_send", "v1", "v2"),
    [
        ("ok", True, None, None),
        ("credentials", True, "account_reconnect_required", None),
        ("error", True, "account_unavailable", None),
        ("ok", False, "account_unavailable", "account_unavailable"),
        ("credentials", False, "account_reconnect_required", "account_reconnect_required"),
    ],
)
def test_who_may_send_by_version(ready, dispatch, status, can_send, v1, v2):
    ready.update_account("acc_email", status=status, can_send=can_send)
    for version, code in (("v1", v1), ("v2", v2)):
        answer = dispatch(version)
        assert (answer.status_code == 202) if code is None else (refusal(answer) == (409, code))


# Cancelling


@pytest.mark.parametrize(
    "script", [pytest.param({"status": "queued"}, id="queued"), pytest.param({"scheduled_in": 3_600}, id="scheduled")]
)
def test_what_has_not_begun_is_cancelled(ready, dispatch, cancel, script):
    ready.script_jobs(**script)
    job_id = dispatch("v1").json()["item"]["id"]
    answer = cancel(job_id)
    assert answer.status_code == 200
    job = answer.json()["item"]
    assert (job["status"], job["started_at"], job["attempt_count"]) == ("cancelled", None, 0)
    assert ready.jobs == [job]
    assert ready.outbox == []
    assert cancel(job_id).json()["item"] == job


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ({"after": None}, "running"),
        ({"status": "settling"}, "settling"),
        ({}, "succeeded"),
        ({"status": "failed"}, "failed"),
    ],
)
def test_what_runs_or_has_ended_is_not_cancelled(ready, dispatch, cancel, script, status):
    ready.script_jobs(**script)
    job_id = dispatch().json()["item"]["id"]
    before = ready.jobs
    assert refusal(cancel(job_id)) == (409, "job_not_cancellable")
    assert ready.jobs == before
    assert before[0]["status"] == status


def test_only_ones_own_jobs_are_cancelled(ready, ask, dispatch, cancel):
    assert refusal(cancel("job_no")) == (404, "external_api_job_not_found")
    ready.script_jobs(scheduled_in=3_600)
    job_id = dispatch().json()["item"]["id"]
    ready.add_key("sk-revor-other", accounts=[])
    foreign = ask(f"/api/v2/jobs/{job_id}/cancel", "POST", headers={"x-api-key": "sk-revor-other"})
    assert refusal(foreign) == (404, "external_api_job_not_found")
    assert ready.jobs[0]["status"] == "scheduled"


def test_v1_can_not_cancel(ready, ask, dispatch):
    job_id = dispatch().json()["item"]["id"]
    assert refusal(ask(f"/api/v1/outreach/jobs/{job_id}/cancel", "POST")) == (404, "endpoint_not_found")


def test_a_job_settles(ready, ask, dispatch):
    ready.script_jobs("settling")
    job_id = dispatch().json()["item"]["id"]
    job = ask(f"/api/v2/jobs/{job_id}").json()["item"]
    assert (job["status"], job["finished_at"], job["result"]) == ("settling", None, None)
    assert [entry.status for entry in ready.outbox] == ["settling"]
    assert ready.finish_job(job_id)["status"] == "succeeded"


# Credits


def test_credits(ready, ask, control):
    answer = ask("/api/v2/credits").json()
    assert answer.keys() == {"ok", "request_id", "available_credits"}
    assert answer["available_credits"] == 1_000
    ready.set_credits(7)
    assert ask("/api/v2/credits").json()["available_credits"] == 7
    assert control("PUT", "/credits", {"available_credits": 8}).json() == {"available_credits": 8}
    assert ask("/api/v2/credits").json()["available_credits"] == 8


def test_credits_need_any_valid_key(ready, ask):
    ready.set_key(permitted=False)
    assert ask("/api/v2/credits").status_code == 200
    ready.revoke_key()
    assert refusal(ask("/api/v2/credits")) == (401, "api_key_invalid")
    assert refusal(ask("/api/v1/credits")) == (404, "endpoint_not_found")


# Error codes


@pytest.mark.parametrize(
    "code",
    [
        "insufficient_credits",
        "USER_INSUFFICIENT_CREDITS",
        "membership_tier_insufficient",
        "external_api_job_concurrency_limit_exceeded",
        "external_api_task_not_found",
        "endpoint_not_found",
    ],
)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_more_codes_are_queued_as_faults(ready, control, dispatch, code, version):
    status, message = ERRORS[code]
    ready.fail(code=code)
    ready.fail(422, code=code, retry_after=2)
    assert control("POST", "/faults", {"kind": "error", "code": code}).status_code == 204
    answers = [dispatch(version) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [status, 422, status, 202]
    assert [answer.json()["error"]["code"] for answer in answers[:3]] == [code] * 3
    assert answers[0].json()["error"]["message"] == message


def test_a_fault_needs_a_status_or_a_known_code(ready):
    for wrong in ({}, {"code": "of_my_own"}):
        with pytest.raises(ValueError, match="status"):
            ready.fail(**wrong)


@pytest.mark.parametrize("code", ["insufficient_credits", "external_api_worker_unavailable", "some_timeout"])
def test_more_codes_are_scripted_for_jobs(ready, dispatch, ask, code):
    ready.script_jobs("failed", error={"code": code})
    job = ask(f"/api/v2/jobs/{dispatch().json()['item']['id']}").json()["item"]
    assert (job["status"], job["error"]["code"]) == ("failed", code)


# The pages


def test_the_pages_tell_which_version_is_which(revor_sandbox):
    paths = requests.get(f"{revor_sandbox.url}/openapi.json", timeout=30).json()["paths"]
    tags = {path: {tag for operation in paths[path].values() for tag in operation["tags"]} for path in paths}
    for version in ("v1", "v2"):
        own = {path.removeprefix(f"/api/{version}") for path in tags if tags[path] == {f"Revor API {version}"}}
        more = {"/jobs/{job_id}", "/jobs/{job_id}/cancel", "/credits"}
        shared = {"/connect/accounts", "/outreach/dispatches", "/outreach/linkedin/post-likes"}
        assert own == shared | (more if version == "v2" else {"/outreach/jobs/{job_id}"})
    assert "`can_send` is true; `status`" in paths["/api/v2/connect/accounts"]["get"]["description"]
