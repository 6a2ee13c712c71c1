"""API keys: rotated, of the same owner and of another; and what Revor remembers an idempotency key by."""

from __future__ import annotations

import pytest
import requests

LIKE = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}
OTHER = [{"account_id": "acc_other", "channel": "linkedin"}]


@pytest.fixture
def ask(ready):
    def send(api_key, path, body=None, key=None):
        return requests.request(
            "GET" if body is None else "POST",
            f"{ready.url}/api/v1{path}",
            json=body,
            headers={"x-api-key": api_key, **({"Idempotency-Key": key} if key else {})},
            timeout=30,
        )

    return send


def test_a_rotated_key_sees_the_same(ready, ask):
    before = ready.api_key
    job = ask(before, "/outreach/linkedin/post-likes", LIKE).json()["item"]["id"]
    accounts = ask(before, "/connect/accounts").json()["items"]
    ready.set_key("sk-revor-new")
    assert ready.api_key == ready.connection["password"] == "sk-revor-new"
    assert ask("sk-revor-new", f"/outreach/jobs/{job}").json()["item"]["id"] == job
    assert ask("sk-revor-new", "/connect/accounts").json()["items"] == accounts
    assert ask(before, "/connect/accounts").json()["error"]["code"] == "api_key_invalid"


def test_a_rotated_key_is_what_set_key_is_about(ready, ask):
    ready.set_key("sk-revor-new", permitted=False)
    assert ask("sk-revor-new", "/connect/accounts").status_code == 403
    ready.revoke_key()
    assert ask("sk-revor-new", "/connect/accounts").status_code == 401
    ready.set_key()
    assert ask("sk-revor-new", "/connect/accounts").status_code == 200


def test_a_key_may_be_rotated_back(ready, ask):
    before = ready.api_key
    first = ask(before, "/outreach/linkedin/post-likes", LIKE, key="k1").json()["item"]
    ready.set_key("sk-revor-new")
    ready.set_key(before)
    assert ask(before, "/outreach/linkedin/post-likes", LIKE, key="k1").json()["item"] == first
    assert ask("sk-revor-new", "/connect/accounts").status_code == 401


def test_another_key_makes_a_second_job_of_the_same_request(ready, ask):
    ready.add_key("sk-revor-second")
    items = [
        ask(key, "/outreach/linkedin/post-likes", LIKE, key="k1").json()["item"]["id"]
        for key in (ready.api_key, "sk-revor-second", ready.api_key, "sk-revor-second")
    ]
    assert items[0] == items[2] != items[1] == items[3]
    assert len(ready.outbox) == 2
    for job in items:
        for key in (ready.api_key, "sk-revor-second"):
            assert ask(key, f"/outreach/jobs/{job}").status_code == 200


def test_another_owner_sees_only_their_own(ready, ask):
    ready.add_key("sk-revor-other", accounts=OTHER)
    first = ask(ready.api_key, "/outreach/linkedin/post-likes", LIKE, key="k1").json()["item"]["id"]
    other = ask("sk-revor-other", "/outreach/linkedin/post-likes", LIKE, key="k1").json()["item"]["id"]
    listed = ask("sk-revor-other", "/connect/accounts").json()["items"]
    assert [account["account_id"] for account in listed] == ["acc_other"]
    for key, job in ((ready.api_key, other), ("sk-revor-other", first)):
        answer = ask(key, f"/outreach/jobs/{job}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "external_api_job_not_found")
    foreign = {**LIKE, "account_id": "acc_linkedin"}
    answer = ask("sk-revor-other", "/outreach/linkedin/post-likes", foreign)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "account_not_found")
    assert [entry.account_id for entry in ready.outbox] == ["acc_linkedin", "acc_other"]
    ready.revoke_key()
    assert ask("sk-revor-other", "/connect/accounts").status_code == 200


def test_a_forgotten_key_makes_a_second_job(ready, post, read_job):
    first = post("/linkedin/post-likes", LIKE, key="k1").json()["item"]["id"]
    ready.forget_keys()
    second = post("/linkedin/post-likes", {**LIKE, "post_limit": 3}, key="k1")
    assert second.status_code == 202
    assert second.json()["item"]["id"] != first
    assert read_job(first).status_code == 200
    assert [entry.idempotency_key for entry in ready.outbox] == ["k1", "k1"]


@pytest.mark.parametrize("wrong", ["", "with space", "new\nline", "sk-✓", "k" * 257])
def test_what_can_not_be_a_key(ready, control, wrong):
    for call in (ready.add_key, ready.set_key):
        with pytest.raises(ValueError, match="validation error"):
            call(wrong)
    assert control("POST", "/keys", {"api_key": wrong}).status_code == 422


def test_a_key_is_added_once(ready, control):
    for accounts in (None, OTHER):
        with pytest.raises(ValueError, match="in use"):
            ready.add_key(ready.api_key, accounts=accounts)
    assert control("POST", "/keys", {"api_key": ready.api_key}).status_code == 409


def test_no_key_is_recorded(ready, ask):
    before = ready.api_key
    ready.set_key("sk-revor-new")
    ready.add_key("sk-revor-new-too")
    for key in (before, "sk-revor-new", "sk-revor-new-too"):
        ask(key, f"/{key}?{key}")
    assert {(record.path, record.query) for record in ready.requests} == {("/api/v1/***", "***")}


def test_control(ready, control, ask, post):
    post("/linkedin/post-likes", LIKE, key="k1")
    assert control("DELETE", "/idempotency-keys").status_code == 204
    post("/linkedin/post-likes", LIKE, key="k1")
    assert len(ready.jobs) == 2
    assert control("POST", "/keys", {"api_key": "sk-revor-other", "accounts": OTHER}).status_code == 204
    assert len(ask("sk-revor-other", "/connect/accounts").json()["items"]) == 1
    answer = control("PUT", "/key", {"api_key": "sk-revor-new"})
    assert answer.json() == {"valid": True, "permitted": True, "api_key": "sk-revor-new"}
    assert ready.api_key == "sk-revor-new"
