"""Outreach, as the sandbox's API takes it: bodies, accounts, idempotency."""

from __future__ import annotations

import re
import threading

import pytest
import requests

DISPATCHES = {
    "email": {
        "account_id": "acc_email",
        "channel": "email",
        "action": "outreach",
        "recipient": {"address": "dana@example.com"},
        "content": {"subject": "Hello", "text": "Hello Dana"},
    },
    "linkedin": {
        "account_id": "acc_linkedin",
        "channel": "linkedin",
        "action": "outreach",
        "recipient": {"profile_url": "https://linkedin.example.com/in/dana-example", "name": "Dana"},
        "content": {"text": "Hello Dana"},
    },
    "whatsapp": {
        "account_id": "acc_whatsapp",
        "channel": "whatsapp",
        "action": "outreach",
        "recipient": {"phone": "+1 202 555 0123"},
        "content": {"attachments": [{"filename": "a.txt", "contentBase64": "SGVsbG8="}]},
    },
}
EMAIL = DISPATCHES["email"]
LIKE = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}
PATHS = {"/dispatches": EMAIL, "/linkedin/post-likes": LIKE}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


def assert_refused(response, status, code):
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    error = response.json()["error"]
    assert error.keys() == {"code", "message", "request_id"}
    return error["message"]


# What is accepted


@pytest.mark.parametrize("channel", DISPATCHES)
def test_a_dispatch_makes_a_job_that_succeeds(ready, post, read_job, channel):
    answer = post("/dispatches", DISPATCHES[channel])
    assert answer.status_code == 202
    assert answer.json().keys() == {"ok", "request_id", "item"}
    assert answer.json()["ok"] is True
    item = answer.json()["item"]
    assert item.keys() == {"id", "status", "action", "channel", "scheduled_at"}
    assert (item["status"], item["action"], item["channel"]) == ("queued", "outreach.dispatch", channel)
    assert re.fullmatch(TIME, item["scheduled_at"])

    answer = read_job(item["id"])
    assert answer.status_code == 200
    assert answer.json().keys() == {"ok", "request_id", "item"}
    job = answer.json()["item"]
    assert {name: job[name] for name in ("id", "action", "channel", "scheduled_at")} == {
        name: item[name] for name in ("id", "action", "channel", "scheduled_at")
    }
    assert (job["status"], job["attempt_count"], job["next_attempt_at"], job["error"]) == ("succeeded", 1, None, None)
    assert job["scheduled_at"] <= job["started_at"] <= job["finished_at"]
    assert re.fullmatch(r"msg_\w+", job["result"].pop("message_id"))
    assert job["result"] == {
        "account_id": f"acc_{channel}",
        "channel": channel,
        "action": "outreach",
        "resolved_action": "direct_message" if channel == "linkedin" else "message",
        "status": "sent",
    }
    assert ready.jobs == [read_job(item["id"]).json()["item"]]


def test_a_post_like_makes_a_job_that_succeeds(ready, post, read_job):
    answer = post("/linkedin/post-likes", {**LIKE, "account_id": "acc_linkedin"})
    assert answer.status_code == 202
    item = answer.json()["item"]
    assert (item["status"], item["action"], item["channel"]) == ("queued", "outreach.linkedin.post_like", "linkedin")
    job = read_job(item["id"]).json()["item"]
    assert (job["status"], job["action"]) == ("succeeded", "outreach.linkedin.post_like")
    assert job["result"] == {
        "account_id": "acc_linkedin",
        "channel": "linkedin",
        "action": "outreach.linkedin.post_like",
        "status": "liked",
    }


@pytest.mark.parametrize(
    ("channel", "content"),
    [
        ("email", {"subject": "Hello", "html": "<p>Hello"}),
        ("email", {"subject": "Hello", "text": "Hello", "html": "<p>Hello"}),
        ("linkedin", {"attachments": [{"filename": "a", "contentBase64": "QQ==", "contentType": "text/plain"}]}),
        ("whatsapp", {"text": "Grüße ✓"}),
    ],
)
def test_contents(ready, post, channel, content):
    assert post("/dispatches", {**DISPATCHES[channel], "content": content}).status_code == 202
    assert ready.outbox[0].content == content


def test_what_is_not_documented_may_come(ready, post):
    body = {**EMAIL, "recipient": {"address": "dana@example.com", "company": "Example"}, "label": "spring"}
    assert post("/dispatches", body).status_code == 202
    assert ready.outbox[0].body == body


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("given", "holds"), [(-1, 60), (60, 60), (240, 240), (86_400, 86_400), (10**30, 86_400)])
def test_the_interval_is_clamped(ready, post, path, given, holds):
    assert post(path, {**PATHS[path], "min_channel_task_interval_seconds": given}).status_code == 202
    assert ready.outbox[0].min_channel_task_interval_seconds == holds


@pytest.mark.parametrize("more", [{"post_limit": 1}, {"post_limit": 50}, {"locale": "en"}, {"locale": "zh"}])
def test_post_like_options(ready, post, more):
    assert post("/linkedin/post-likes", {**LIKE, **more}).status_code == 202
    assert ready.outbox[0].body == {**LIKE, **more}


# What is refused


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b'{"topic": "\xff"}', b'{"a": NaN}', b'{"a": "\\ud800"}'])
def test_what_is_no_json_object(ready, post, path, body):
    assert_refused(post(path, body), 400, "invalid_request")
    assert ready.jobs == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"account_id", "channel", "action", "recipient", "content"}),
        ({**EMAIL, "channel": "fax"}, {"channel"}),
        ({**EMAIL, "channel": ["email"]}, {"channel"}),
        ({**EMAIL, "account_id": ""}, {"account_id"}),
        ({**EMAIL, "account_id": 1}, {"account_id"}),
        ({**EMAIL, "action": "like"}, {"action"}),
        ({**EMAIL, "recipient": "dana@example.com"}, {"recipient"}),
        ({**EMAIL, "recipient": {}}, {"recipient.address"}),
        ({**EMAIL, "recipient": {"address": "dana@example.com", "name": 1}}, {"recipient.name"}),
        ({**EMAIL, "content": {}}, {"content.subject", "content.html"}),
        ({**EMAIL, "content": {"subject": "", "text": "Hello"}}, {"content.subject"}),
        ({**EMAIL, "content": {"subject": "Hello", "text": "", "html": ""}}, {"content.html"}),
        ({**EMAIL, "content": {"subject": "Hello", "text": None}}, {"content.text"}),
        ({**EMAIL, "metadata": "spring"}, {"metadata"}),
        ({**EMAIL, "min_channel_task_interval_seconds": "60"}, {"min_channel_task_interval_seconds"}),
        ({**EMAIL, "min_channel_task_interval_seconds": 60.5}, {"min_channel_task_interval_seconds"}),
        ({**EMAIL, "min_channel_task_interval_seconds": True}, {"min_channel_task_interval_seconds"}),
        ({**EMAIL, "channel": "linkedin"}, {"recipient.profile_url"}),
        ({**EMAIL, "channel": "whatsapp"}, {"recipient.phone"}),
        ({**DISPATCHES["linkedin"], "content": {}}, {"content.text"}),
        ({**DISPATCHES["linkedin"], "content": {"text": "", "attachments": []}}, {"content.text"}),
        ({**DISPATCHES["whatsapp"], "content": {"attachments": "a.txt"}}, {"content.attachments"}),
        (
            {**DISPATCHES["whatsapp"], "content": {"attachments": [{"contentBase64": "not base64"}]}},
            {"content.attachments.0.filename", "content.attachments.0.contentBase64"},
        ),
        (
            {"channel": "email", "action": "", "recipient": {}, "content": {}},
            {"account_id", "action", "recipient.address", "content.subject", "content.html"},
        ),
    ],
)
def test_bad_dispatches(ready, post, body, named):
    message = assert_refused(post("/dispatches", body), 400, "invalid_request")
    assert {problem.partition(": ")[0] for problem in message.split("; ")} == named
    assert "dana" not in message
    assert ready.jobs == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, {"profile_url", "intent"}),
        ({"profile_url": LIKE["profile_url"]}, {"intent"}),
        ({"profile_url": LIKE["profile_url"], "topic": ""}, {"intent"}),
        ({**LIKE, "profile_url": ""}, {"profile_url"}),
        ({**LIKE, "topic": 1}, {"topic"}),
        ({**LIKE, "account_id": ""}, {"account_id"}),
        ({**LIKE, "post_limit": 0}, {"post_limit"}),
        ({**LIKE, "post_limit": 51}, {"post_limit"}),
        ({**LIKE, "post_limit": "20"}, {"post_limit"}),
        ({**LIKE, "locale": "de"}, {"locale"}),
        ({**LIKE, "min_channel_task_interval_seconds": 1.5}, {"min_channel_task_interval_seconds"}),
    ],
)
def test_bad_post_likes(ready, post, body, named):
    message = assert_refused(post("/linkedin/post-likes", body), 400, "invalid_request")
    assert {problem.partition(": ")[0] for problem in message.split("; ")} == named
    assert ready.jobs == []


@pytest.mark.parametrize("path", PATHS)
def test_the_account_must_fit(ready, post, path):
    channel, other = ("email", "linkedin") if path == "/dispatches" else ("linkedin", "email")

    def send(account_id):
        return post(path, {**PATHS[path], "account_id": account_id})

    assert_refused(send("acc_no"), 404, "account_not_found")
    assert_refused(send(f"acc_{other}"), 409, "account_channel_mismatch")
    ready.update_account(f"acc_{channel}", status="credentials", can_send=False)
    assert_refused(send(f"acc_{channel}"), 409, "account_reconnect_required")
    ready.update_account(f"acc_{channel}", status="error", can_send=True)
    assert_refused(send(f"acc_{channel}"), 409, "account_unavailable")
    ready.update_account(f"acc_{channel}", status="ok", can_send=False)
    assert_refused(send(f"acc_{channel}"), 409, "account_unavailable")
    assert ready.jobs == []
    ready.update_account(f"acc_{channel}", can_send=True, lifecycle_status="reconnect_required")
    assert send(f"acc_{channel}").status_code == 202


def test_a_post_like_without_account_takes_the_only_usable_one(ready, post):
    ready.set_accounts(
        [
            {"account_id": "acc_email", "channel": "email"},
            {"account_id": "acc_1", "channel": "linkedin", "can_send": False},
            {"account_id": "acc_2", "channel": "linkedin", "status": "error"},
            {"account_id": "acc_3", "channel": "linkedin"},
        ]
    )
    assert post("/linkedin/post-likes", LIKE).status_code == 202
    assert [entry.account_id for entry in ready.outbox] == ["acc_3"]
    ready.reconnect("acc_1")
    assert_refused(post("/linkedin/post-likes", LIKE), 409, "account_id_required")
    ready.set_accounts([{"account_id": "acc_email", "channel": "email"}])
    assert_refused(post("/linkedin/post-likes", LIKE), 409, "account_id_required")
    assert len(ready.jobs) == 1


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/dispatches"), ("POST", "/linkedin/post-likes"), ("GET", "/jobs/job_1")]
)
def test_the_key_comes_first(ready, method, path):
    def send(headers):
        return requests.request(method, f"{ready.url}/api/v1/outreach{path}", data=b"{", headers=headers, timeout=30)

    key = {"x-api-key": ready.api_key}
    assert_refused(send({}), 401, "api_key_missing")
    assert_refused(send({"x-api-key": "sk-revor-other"}), 401, "api_key_invalid")
    ready.set_key(permitted=False)
    assert_refused(send(key), 403, "permission_denied")
    ready.set_key()
    ready.fail(429, retry_after=2)
    assert_refused(send(key), 429, "api_rate_limit_exceeded")
    ready.fail(503)
    assert_refused(send(key), 503, "service_unavailable")
    assert send(key).status_code in {400, 404}


def test_other_methods_and_unknown_jobs(ready, read_job):
    assert_refused(read_job("job_no"), 404, "external_api_job_not_found")
    assert_refused(read_job(""), 404, "endpoint_not_found")
    for path, method in (("dispatches", "GET"), ("linkedin/post-likes", "PUT"), ("jobs/job_no", "POST")):
        response = requests.request(method, f"{ready.url}/api/v1/outreach/{path}", timeout=30)
        assert_refused(response, 405, "method_not_allowed")


# Idempotency


@pytest.mark.parametrize("path", PATHS)
def test_without_a_key_each_makes_a_job(ready, post, path):
    assert post(path, PATHS[path]).json()["item"]["id"] != post(path, PATHS[path]).json()["item"]["id"]
    assert len(ready.jobs) == len(ready.outbox) == 2


@pytest.mark.parametrize("path", PATHS)
def test_a_replay_gets_the_original_item(ready, post, path):
    first = post(path, PATHS[path], key="k1")
    again = post(path, dict(reversed(PATHS[path].items())), key="k1")
    assert (again.status_code, again.json()["item"]) == (202, first.json()["item"])
    assert again.json()["item"]["status"] == "queued"
    assert again.json()["request_id"] != first.json()["request_id"]
    assert len(ready.jobs) == 1
    assert [entry.idempotency_key for entry in ready.outbox] == ["k1"]
    other = post(path, PATHS[path], key="k2")
    assert other.json()["item"]["id"] != first.json()["item"]["id"]


@pytest.mark.parametrize("path", PATHS)
def test_another_body_with_the_key_is_refused(ready, post, path):
    first = post(path, PATHS[path], key="k1")
    other = {**PATHS[path], "min_channel_task_interval_seconds": 60}
    assert_refused(post(path, other, key="k1"), 409, "idempotency_conflict")
    assert post(path, PATHS[path], key="k1").json()["item"] == first.json()["item"]
    assert len(ready.jobs) == 1


def test_a_key_holds_for_one_path(ready, post):
    for path, body in PATHS.items():
        assert post(path, body, key="k1").status_code == 202
    assert [job["action"] for job in ready.jobs] == ["outreach.dispatch", "outreach.linkedin.post_like"]


@pytest.mark.parametrize("path", PATHS)
def test_a_replay_needs_no_account(ready, post, path):
    first = post(path, PATHS[path], key="k1")
    ready.set_accounts([])
    again = post(path, PATHS[path], key="k1")
    assert (again.status_code, again.json()["item"]) == (202, first.json()["item"])
    assert_refused(
        post(path, PATHS[path], key="k2"),
        *((404, "account_not_found") if path == "/dispatches" else (409, "account_id_required")),
    )


def test_a_refused_request_leaves_its_key(ready, post):
    assert_refused(post("/dispatches", {**EMAIL, "content": {}}, key="k1"), 400, "invalid_request")
    assert_refused(post("/dispatches", {**EMAIL, "account_id": "acc_no"}, key="k1"), 404, "account_not_found")
    ready.update_account("acc_email", can_send=False)
    assert_refused(post("/dispatches", EMAIL, key="k1"), 409, "account_unavailable")
    ready.reconnect("acc_email")
    ready.fail(503)
    assert_refused(post("/dispatches", EMAIL, key="k1"), 503, "service_unavailable")
    assert post("/dispatches", EMAIL, key="k1").status_code == 202
    assert len(ready.jobs) == 1


def test_simultaneous_replays_make_one_job(ready, post):
    together = threading.Barrier(8)
    items = []

    def send():
        together.wait()
        items.extend(post("/dispatches", EMAIL, key="k1").json()["item"]["id"] for _ in range(5))

    clients = [threading.Thread(target=send) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(items) == 40
    assert {job["id"] for job in ready.jobs} == set(items)
    assert len(ready.jobs) == len(ready.outbox) == 1
