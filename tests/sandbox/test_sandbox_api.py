"""Revor's API, as the sandbox answers it."""

from __future__ import annotations

import re

import pytest
import requests

FIELDS = {
    "account_id",
    "channel",
    "name",
    "account_identifier",
    "status",
    "lifecycle_status",
    "can_send",
    "can_receive",
}
KEY = "sk-revor-sandbox"


def assert_refused(response, status, code):
    assert response.status_code == status
    body = response.json()
    assert body.keys() == {"ok", "error"}
    assert body["ok"] is False
    assert body["error"].keys() == {"code", "message", "request_id"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    assert re.fullmatch(r"req_\w+", body["error"]["request_id"])


def test_a_list_has_the_envelope_and_every_documented_field(get):
    response = get()
    assert response.status_code == 200
    body = response.json()
    assert body.keys() == {"ok", "request_id", "items"}
    assert body["ok"] is True
    assert re.fullmatch(r"req_\w+", body["request_id"])
    assert all(item.keys() == FIELDS for item in body["items"])


def test_request_ids_differ(get):
    assert get().json()["request_id"] != get().json()["request_id"]


def test_the_default_set_waits_for_a_person(get, revor_sandbox):
    items = get().json()["items"]
    assert not any(item["can_send"] for item in items)
    assert {item["channel"] for item in items if item["status"] == "credentials"} == {
        "email",
        "linkedin",
        "whatsapp",
    }
    assert {(item["channel"], item["status"]) for item in items} >= {
        ("linkedin", "error"),
        ("whatsapp", "ok"),
    }
    assert revor_sandbox.reconnect_all() == 3
    ready = [item for item in get().json()["items"] if item["can_send"]]
    assert {item["channel"] for item in ready} == {"email", "linkedin", "whatsapp"}
    assert {item["status"] for item in ready} == {"ok"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"x-api-key": KEY},
        {"X-API-Key": KEY},
    ],
)
def test_both_headers_carry_the_key(get, headers):
    assert get(headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer"}, {"Authorization": f"Basic {KEY}"}, {"x-api-key": ""}]
)
def test_no_key(get, headers):
    assert_refused(get(headers=headers), 401, "api_key_missing")


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer sk-revor-other"}, {"x-api-key": KEY.upper()}])
def test_wrong_key(get, headers):
    assert_refused(get(headers=headers), 401, "api_key_invalid")


def test_revoked_key_and_missing_permission(get, revor_sandbox):
    revor_sandbox.revoke_key()
    assert_refused(get(), 401, "api_key_invalid")
    revor_sandbox.set_key(permitted=False)
    assert_refused(get(), 403, "permission_denied")
    revor_sandbox.set_key()
    assert get().status_code == 200


@pytest.mark.parametrize("query", ["?channel=fax", "?channel=", "?channel=Email", "?channel=email&channel=email"])
def test_invalid_channel(get, query):
    assert_refused(get(query), 400, "invalid_channel")


@pytest.mark.parametrize("query", ["?can_send=yes", "?can_send=", "?can_send=True", "?can_send=1&can_send=1"])
def test_invalid_can_send(get, query):
    assert_refused(get(query), 400, "invalid_can_send")


def test_the_key_comes_before_the_query(get):
    assert_refused(get("?channel=fax", headers={}), 401, "api_key_missing")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["e1", "e0", "l1", "w0"]),
        ("?channel=email", ["e1", "e0"]),
        ("?can_send=true", ["e1", "l1"]),
        ("?can_send=1", ["e1", "l1"]),
        ("?can_send=false", ["e0", "w0"]),
        ("?can_send=0", ["e0", "w0"]),
        ("?channel=email&can_send=0", ["e0"]),
        ("?channel=whatsapp&can_send=1", []),
        ("?page=2", ["e1", "e0", "l1", "w0"]),
    ],
)
def test_filters(get, revor_sandbox, query, expected):
    revor_sandbox.set_accounts(
        [
            {"account_id": "e1", "channel": "email"},
            {"account_id": "e0", "channel": "email", "can_send": False},
            {"account_id": "l1", "channel": "linkedin", "status": "error"},
            {"account_id": "w0", "channel": "whatsapp", "can_send": False},
        ]
    )
    assert [item["account_id"] for item in get(query).json()["items"]] == expected


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/nothing", "/api/v1/connect/accounts/"])
def test_unknown_paths_have_the_envelope(revor_sandbox, path):
    assert_refused(requests.get(revor_sandbox.url + path, timeout=30), 404, "endpoint_not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_have_the_envelope(revor_sandbox, method):
    response = requests.request(method, f"{revor_sandbox.url}/api/v1/connect/accounts", timeout=30)
    assert_refused(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET"


def test_other_pages_have_no_envelope(revor_sandbox):
    response = requests.get(f"{revor_sandbox.url}/nothing", timeout=30)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})
    assert revor_sandbox.request_count == 0


def test_docs_need_no_other_host(revor_sandbox):
    page = requests.get(f"{revor_sandbox.url}/docs", timeout=30)
    assert page.status_code == 200
    assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert len(assets) >= 3
    for asset in assets:
        assert asset.startswith("/")
        assert not asset.startswith("//")
        assert requests.get(revor_sandbox.url + asset, timeout=30).status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_openapi_documents_everything(revor_sandbox):
    schema = requests.get(f"{revor_sandbox.url}/openapi.json", timeout=30).json()
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    assert all(operation["summary"] and operation["description"] for operation in operations)
    accounts = schema["paths"]["/api/v1/connect/accounts"]["get"]
    assert {parameter["name"] for parameter in accounts["parameters"]} == {"channel", "can_send"}
    assert accounts["parameters"][0]["schema"]["enum"] == ["email", "linkedin", "whatsapp"]
    assert sorted(accounts["responses"]) == ["200", "400", "401", "403", "429"]
    examples = accounts["responses"]["401"]["content"]["application/json"]["examples"]
    assert examples.keys() == {"api_key_missing", "api_key_invalid"}
    schemes = schema["components"]["securitySchemes"]
    assert [list(alternative) for alternative in accounts["security"]] == [[name] for name in schemes]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}
    assert {path for path in schema["paths"] if path.startswith("/sandbox")} == {
        "/sandbox/health",
        "/sandbox/accounts",
        "/sandbox/accounts/{account_id}",
        "/sandbox/accounts/{account_id}/reconnect",
        "/sandbox/accounts/{account_id}/block",
        "/sandbox/key",
        "/sandbox/keys",
        "/sandbox/clock",
        "/sandbox/credits",
        "/sandbox/idempotency-keys",
        "/sandbox/faults",
        "/sandbox/requests",
        "/sandbox/jobs",
        "/sandbox/jobs/script",
        "/sandbox/jobs/{job_id}/finish",
        "/sandbox/outbox",
    }


def test_openapi_documents_outreach(revor_sandbox):
    schema = requests.get(f"{revor_sandbox.url}/openapi.json", timeout=30).json()
    dispatch = schema["paths"]["/api/v1/outreach/dispatches"]["post"]
    like = schema["paths"]["/api/v1/outreach/linkedin/post-likes"]["post"]
    job = schema["paths"]["/api/v1/outreach/jobs/{job_id}"]["get"]
    for write in (dispatch, like):
        assert [parameter["name"] for parameter in write["parameters"]] == ["Idempotency-Key"]
        assert sorted(write["responses"]) == ["202", "400", "401", "403", "404", "409", "429", "503"]
    assert sorted(job["responses"]) == ["200", "401", "403", "404", "429"]
    assert [parameter["name"] for parameter in job["parameters"]] == ["job_id"]
    content = dispatch["requestBody"]["content"]["application/json"]
    assert content["examples"].keys() == {"email", "linkedin", "whatsapp"}
    shapes = content["schema"]["anyOf"]
    assert [shape["properties"]["channel"]["const"] for shape in shapes] == ["email", "linkedin", "whatsapp"]
    assert {"address", "profile_url", "phone"} < {
        name for shape in shapes for name in shape["properties"]["recipient"]["properties"]
    }
    assert like["requestBody"]["content"]["application/json"]["schema"]["required"] == ["profile_url"]


def test_the_documented_examples_are_accepted(revor_sandbox):
    revor_sandbox.reconnect_all()
    schema = requests.get(f"{revor_sandbox.url}/openapi.json", timeout=30).json()
    for path in ("/api/v1/outreach/dispatches", "/api/v1/outreach/linkedin/post-likes"):
        examples = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        for example in examples.values():
            answer = requests.post(
                revor_sandbox.url + path, json=example["value"], headers={"x-api-key": KEY}, timeout=30
            )
            assert answer.status_code == 202
    for path in ("/sandbox/jobs/script", "/sandbox/faults"):
        examples = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        for example in examples.values():
            answer = requests.post(revor_sandbox.url + path, json=example["value"], timeout=30)
            assert answer.status_code == 204


def test_the_documented_examples_keep_their_nulls(ready, post, revor_sandbox):
    schema = requests.get(f"{revor_sandbox.url}/openapi.json", timeout=30).json()
    body = schema["paths"]["/sandbox/jobs/script"]["post"]["requestBody"]["content"]["application/json"]
    for name, jobs in {"running until it is finished": 1, "all from now on take 10 seconds": 3}.items():
        ready.reset_jobs()
        requests.post(f"{ready.url}/sandbox/jobs/script", json=body["examples"][name]["value"], timeout=30)
        for _ in range(3):
            post("/linkedin/post-likes", {"profile_url": "https://linkedin.example.com/in/dana", "topic": "hiking"})
        assert [job["status"] for job in ready.jobs].count("running") == jobs
    finish = schema["paths"]["/sandbox/jobs/{job_id}/finish"]["post"]["requestBody"]["content"]["application/json"]
    for job, example in zip(ready.jobs, finish["examples"].values(), strict=False):
        answer = requests.post(f"{ready.url}/sandbox/jobs/{job['id']}/finish", json=example["value"], timeout=30)
        assert answer.json()["status"] == example["value"]["status"]
