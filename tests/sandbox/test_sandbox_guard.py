"""What the sandbox rejects before anything else, and what it does not keep: it is for this machine, and bounded."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_revor.sandbox import Sandbox
from airflow_provider_revor.sandbox.contract import accounts
from airflow_provider_revor.sandbox.web import guard
from airflow_provider_revor.sandbox.world import faults, jobs, world

LIKE = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}
PAGES = ("/sandbox/outbox", "/docs", "/api/v1/connect/accounts")


@pytest.fixture
def ask(revor_sandbox):
    def send(path="/sandbox/outbox", method="GET", body=None, **headers):
        key = {"x-api-key": revor_sandbox.api_key}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.request(method, revor_sandbox.url + path, data=body, headers={**key, **named}, timeout=30)

    return send


# Hosts and origins


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "host",
    [
        pytest.param("rebound.example.com", id="rebound"),
        pytest.param("127.0.0.1.example.com", id="starts-like-loopback"),
        pytest.param("example.com:80@127.0.0.1", id="user-info"),
        pytest.param("localhost:x", id="no-port"),
        pytest.param("", id="empty"),
        pytest.param("192.0.2.1", id="another-address"),
    ],
)
def test_other_hosts_are_rejected(revor_sandbox, ask, path, host):
    revor_sandbox.fail(503)
    assert ask(path, Host=host).status_code == 403
    assert revor_sandbox.request_count == 0


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8765"])
def test_loopback_hosts_are_not(ask, path, host):
    assert ask(path, Host=host).status_code == 200


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://localhost:1", "http://127.0.0.1"])
def test_other_origins_are_rejected(revor_sandbox, ask, origin):
    before = revor_sandbox.accounts
    assert ask("/sandbox/accounts/acc_email_anna/reconnect", "POST", Origin=origin).status_code == 403
    assert ask(Origin=origin).status_code == 403
    assert revor_sandbox.accounts == before


def test_its_own_pages_are_not(revor_sandbox, ask):
    answer = ask("/sandbox/accounts/acc_email_anna/reconnect", "POST", Origin=revor_sandbox.url)
    assert answer.status_code == 200


# Bodies


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_a_page_may_send_is_rejected(revor_sandbox, ask, content_type):
    headers = {"Content_Type": content_type} if content_type else {}
    answer = ask("/sandbox/faults", "POST", b'{"kind": "drop"}', **headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]
    assert ask("/api/v1/connect/accounts").status_code == 200


def test_the_api_takes_no_other_bodies_either(ready, post, ask):
    answer = ask("/api/v1/outreach/linkedin/post-likes", "POST", json.dumps(LIKE), Content_Type="text/plain")
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert ready.jobs == []
    assert post("/linkedin/post-likes", LIKE).status_code == 202


@pytest.mark.parametrize("path", ["/sandbox/accounts", "/api/v1/outreach/dispatches"])
@pytest.mark.parametrize("wrap", [bytes, lambda body: iter([body])], ids=["sized", "chunked"])
def test_a_long_body_is_rejected(revor_sandbox, ask, path, wrap):
    body = b" " * (guard.MAX_BODY + 1)
    method = "PUT" if path.startswith("/sandbox") else "POST"
    assert ask(path, method, wrap(body), Content_Type="application/json").status_code == 413
    assert revor_sandbox.jobs == []


# Accounts


def nested(depth):
    return json.loads("[" * depth + "]" * depth)


UNSERVABLE = [
    pytest.param({"note": "\ud800"}, id="lone-surrogate"),
    pytest.param({"\ud800": "note"}, id="lone-surrogate-as-name"),
    pytest.param({"name": "\ud800"}, id="lone-surrogate-in-a-known-field"),
    pytest.param({"note": float("nan")}, id="nan"),
    pytest.param({"note": nested(500)}, id="deep"),
]


@pytest.mark.parametrize("more", UNSERVABLE)
def test_an_account_that_can_not_be_served_is_rejected(revor_sandbox, ask, get, more):
    before = revor_sandbox.accounts
    account = {"account_id": "acc_1", "channel": "email", **more}
    with pytest.raises(ValueError, match="validation error"):
        revor_sandbox.set_accounts([account])
    answer = ask("/sandbox/accounts", "PUT", json.dumps([account]), Content_Type="application/json")
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert get().json()["items"] == before == revor_sandbox.accounts


def test_a_change_that_can_not_be_served_is_rejected(revor_sandbox, ask, get):
    for change in ({"name": "\ud800"}, {"\ud800": 1}):
        answer = ask("/sandbox/accounts/acc_email_anna", "PATCH", json.dumps(change), Content_Type="application/json")
        assert answer.status_code == 422
    assert get().status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"kind": "error", "status": 500, "message": "\ud800"}),
        ("/faults", {"kind": "answer", "status": 200, "body": "\ud800"}),
        ("/jobs/script", {"status": "failed", "error": {"message": "\ud800"}}),
    ],
)
def test_neither_is_a_script(ask, get, path, body):
    assert ask(f"/sandbox{path}", "POST", json.dumps(body), Content_Type="application/json").status_code == 422
    assert get().status_code == 200


def test_nesting_that_no_parser_takes_is_rejected(ask):
    body = b"[" * 1_000_000
    assert ask("/sandbox/accounts", "PUT", body, Content_Type="application/json").status_code in {400, 422}
    assert ask("/api/v1/outreach/dispatches", "POST", body).status_code == 400


def test_what_is_accepted_is_served(ready, post, get, ask):
    ready.set_accounts([{"account_id": "acc_1", "channel": "linkedin", "note": nested(150)}])
    assert get().json()["items"][0]["note"] == nested(150)
    assert post("/linkedin/post-likes", {**LIKE, "note": nested(150)}).status_code == 202
    assert ask("/sandbox/outbox").json()["items"][0]["body"]["note"] == nested(150)
    assert ready.outbox[0].body["note"] == nested(150)


# Sizes


def test_the_number_of_accounts_is_bounded(revor_sandbox, monkeypatch):
    too_many = [{"account_id": f"acc_{n}", "channel": "email"} for n in range(accounts.MAX_ACCOUNTS + 1)]
    revor_sandbox.set_accounts(too_many[1:])
    with pytest.raises(ValueError, match="at most 10000"):
        revor_sandbox.set_accounts(too_many)


@pytest.mark.parametrize(("bound", "value"), [("MAX_JOBS", 2), ("MAX_KEPT", 200)])
def test_jobs_are_bounded(ready, post, monkeypatch, bound, value):
    monkeypatch.setattr(world, bound, value)
    statuses = [post("/linkedin/post-likes", LIKE, key=f"k{n}").status_code for n in range(3)]
    assert statuses == [202, 202, 409]
    assert post("/linkedin/post-likes", LIKE, key="k0").status_code == 202
    ready.reset_jobs()
    assert post("/linkedin/post-likes", LIKE, key="k2").status_code == 202


def test_keys_are_bounded(ready, post):
    assert post("/linkedin/post-likes", LIKE, key="k" * world.MAX_KEY).status_code == 202
    assert post("/linkedin/post-likes", LIKE, key="k" * (world.MAX_KEY + 1)).status_code == 400


def test_the_log_is_bounded(revor_sandbox):
    requests.get(f"{revor_sandbox.url}/api/{'x' * 9_000}?{'y' * 9_000}", timeout=30)
    (record,) = revor_sandbox.requests
    assert len(record.path) == len(record.query) == 2_000


def test_queues_are_bounded(monkeypatch):
    monkeypatch.setattr(faults, "MAX_FAULTS", 1)
    monkeypatch.setattr(jobs, "MAX_SCRIPTS", 1)
    with Sandbox() as sandbox:
        sandbox.drop()
        sandbox.script_jobs()
        for call in (sandbox.drop, sandbox.script_jobs):
            with pytest.raises(ValueError, match="1 .* at most"):
                call()
        answers = [
            requests.post(f"{sandbox.url}/sandbox{path}", json=body, timeout=30)
            for path, body in (("/faults", {"kind": "drop"}), ("/jobs/script", {}))
        ]
        assert [answer.status_code for answer in answers] == [409, 409]
