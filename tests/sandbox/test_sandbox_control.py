"""The control API, over HTTP."""

from __future__ import annotations

import pytest
import requests

ACCOUNT = {
    "account_id": "acc_1",
    "channel": "email",
    "name": "Sandbox account",
    "account_identifier": None,
    "status": "ok",
    "lifecycle_status": "active",
    "can_send": True,
    "can_receive": True,
}


def test_health(control):
    assert control("GET", "/health").json() == {"status": "ok"}


def test_accounts_are_replaced_and_filled_in(control, get):
    answer = control("PUT", "/accounts", {"items": [{"account_id": "acc_1", "channel": "email"}]})
    assert answer.json() == {"items": [ACCOUNT]}
    assert control("GET", "/accounts").json() == {"items": [ACCOUNT]}
    assert get().json()["items"] == [ACCOUNT]


def test_a_copied_answer_is_served_as_it_came(control, get):
    item = {**ACCOUNT, "account_identifier": "dana@example.com", "quota": {"day": 20}}
    answer = control("PUT", "/accounts", {"ok": True, "request_id": "req_1", "items": [item]})
    assert answer.status_code == 200
    assert get().json()["items"] == [item]


def test_a_list_of_accounts_will_do(control, get):
    assert control("PUT", "/accounts", [{"account_id": "acc_1", "channel": "email"}]).json() == {"items": [ACCOUNT]}
    assert get().json()["items"] == [ACCOUNT]


@pytest.mark.parametrize(
    "items",
    [
        [{"account_id": "acc_1"}],
        [{"channel": "email"}],
        [{"account_id": "", "channel": "email"}],
        [{"account_id": "acc_1", "channel": "fax"}],
        [{"account_id": "acc_1", "channel": "email", "status": "fine"}],
        [{"account_id": "acc_1", "channel": "email", "can_send": "yes"}],
        [{"account_id": "acc_1", "channel": "email"}] * 2,
        "acc_1",
    ],
)
def test_wrong_accounts_change_nothing(control, revor_sandbox, items):
    before = revor_sandbox.accounts
    assert control("PUT", "/accounts", {"items": items}).status_code == 422
    assert revor_sandbox.accounts == before


def test_reconnect(control, revor_sandbox):
    answer = control("POST", "/accounts/acc_email_anna/reconnect")
    assert answer.status_code == 200
    account = answer.json()
    assert account in revor_sandbox.accounts
    assert account["account_id"] == "acc_email_anna"
    assert (account["status"], account["lifecycle_status"]) == ("ok", "active")
    assert account["can_send"] is account["can_receive"] is True


def test_patch(control, get):
    answer = control("PATCH", "/accounts/acc_whatsapp_desk", {"can_send": True, "account_identifier": None})
    assert answer.status_code == 200
    assert get("?can_send=1").json()["items"] == [answer.json()]


@pytest.mark.parametrize(
    "changes", [{"status": None}, {"can_send": 1}, {"can_sent": True}, {"account_id": "acc_2"}, []]
)
def test_wrong_changes(control, revor_sandbox, changes):
    before = revor_sandbox.accounts
    assert control("PATCH", "/accounts/acc_email_anna", changes).status_code == 422
    assert revor_sandbox.accounts == before


def test_unknown_account(control):
    for method, path in [("POST", "/accounts/acc_no/reconnect"), ("PATCH", "/accounts/acc_no")]:
        answer = control(method, path, {})
        assert answer.status_code == 404
        assert "acc_no" in answer.json()["detail"]


def test_key(control, get):
    assert control("PUT", "/key", {"valid": False}).json() == {"valid": False, "permitted": True}
    assert get().status_code == 401
    control("PUT", "/key", {"permitted": False})
    assert get().status_code == 403
    control("PUT", "/key", {})
    assert get().status_code == 200


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "error", "status": 503}, 503),
        ({"kind": "answer", "status": 502, "body": "<p>"}, 502),
        ({"kind": "slow", "seconds": 0.01}, 200),
        ({"kind": "slow", "seconds": 0.01, "after_acting": True}, 200),
        ({"kind": "error", "status": 503, "method": "GET"}, 503),
    ],
)
def test_faults(control, get, fault, status):
    assert control("POST", "/faults", {**fault, "times": 2}).status_code == 204
    assert control("POST", "/faults", {"kind": "error", "status": 418}).status_code == 204
    assert [get().status_code for _ in range(4)] == [status, status, 418, 200]


@pytest.mark.parametrize("kind", ["drop", "truncate", "lose_answer"])
def test_faults_that_hang_up(control, get, kind):
    assert control("POST", "/faults", {"kind": kind}).status_code == 204
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get()
    assert get().status_code == 200


def test_faults_are_cleared(control, get):
    control("POST", "/faults", {"kind": "error", "status": 503, "times": 1_000_000_000})
    assert get().status_code == 503
    assert control("DELETE", "/faults").status_code == 204
    assert get().status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "unknown"},
        {"kind": "drop", "times": 0},
        {"kind": "error", "status": 200},
        {"kind": "error"},
        {"kind": "error", "code": ["insufficient_credits"]},
        {"kind": "slow", "seconds": 0},
        {"kind": "slow", "seconds": 1e9},
        {"kind": "answer", "status": 101},
        {"kind": "answer", "status": 204, "body": "x"},
        {"kind": "answer", "status": 200, "headers": {"Content-Length": "3"}},
        {"kind": "answer", "status": 200, "headers": {"X-A": "b\r\nX-C: d"}},
        {"kind": "answer", "status": 200, "headers": {"X A": "b"}},
        {"kind": "answer", "status": 200, "headers": {"X-A": "✓"}},
        {"kind": "drop", "seconds": 1},
        {"kind": "drop", "after_acting": True},
        {"kind": "drop", "method": "post"},
    ],
)
def test_faults_that_can_not_be(control, get, fault):
    assert control("POST", "/faults", fault).status_code == 422
    assert get().status_code == 200


def test_requests(control, get, revor_sandbox):
    get("?channel=email")
    get(headers={"x-api-key": "sk-revor-wrong"})
    control("POST", "/faults", {"kind": "drop"})
    with pytest.raises(requests.ConnectionError):
        get()
    log = control("GET", "/requests").json()
    assert log["total"] == 3
    assert [(r["method"], r["query"], r["status"], r["fault"]) for r in log["items"]] == [
        ("GET", "channel=email", 200, None),
        ("GET", "", 401, None),
        ("GET", "", None, "drop"),
    ]
    assert {r["path"] for r in log["items"]} == {"/api/v1/connect/accounts"}
    assert all(r["received_at"].endswith("Z") for r in log["items"])
    assert control("DELETE", "/requests").status_code == 204
    assert control("GET", "/requests").json() == {"total": 0, "items": []}


def test_no_key_is_recorded(control, get, revor_sandbox):
    get(f"?api_key={revor_sandbox.api_key}", headers={"x-api-key": revor_sandbox.api_key})
    get(headers={"x-api-key": "sk-revor-wrong"})
    assert "sk-revor" not in control("GET", "/requests").text
