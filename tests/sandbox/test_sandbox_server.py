"""The class Sandbox: its life, its faults, its counts."""

from __future__ import annotations

import json
import logging
import socket
import threading

import pytest
import requests

from airflow_provider_revor.sandbox import Sandbox


def sandbox_threads():
    return [thread for thread in threading.enumerate() if thread.name == "revor-sandbox"]


# Life


def test_it_serves_between_start_and_stop():
    with Sandbox() as sandbox:
        assert requests.get(f"{sandbox.url}/sandbox/health", timeout=30).status_code == 200
        assert len(sandbox_threads()) == 1
    assert not sandbox_threads()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{sandbox.url}/sandbox/health", timeout=30)
    sandbox.stop()


def test_it_starts_again_with_what_it_knew():
    sandbox = Sandbox(accounts=[{"account_id": "acc_1", "channel": "email"}])
    for _ in range(2):
        with sandbox:
            accounts = requests.get(f"{sandbox.url}/sandbox/accounts", timeout=30).json()
            assert accounts["items"] == sandbox.accounts


def test_it_does_not_start_twice():
    with Sandbox() as sandbox, pytest.raises(RuntimeError, match="runs already"):
        sandbox.start()


def test_two_run_side_by_side():
    with Sandbox() as one, Sandbox(api_key="sk-revor-two") as two:
        assert one.url != two.url
        one.reconnect("acc_email_anna")
        assert not any(account["can_send"] for account in two.accounts)
        answer = requests.get(f"{two.url}/api/v1/connect/accounts", headers={"x-api-key": one.api_key}, timeout=30)
        assert answer.status_code == 401
        assert (one.request_count, two.request_count) == (0, 1)


def test_a_taken_port_raises_here():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        Sandbox(other.getsockname()[1]).start()
    assert not sandbox_threads()


def test_wrong_accounts_raise_without_telling_them():
    with pytest.raises(ValueError, match="channel") as caught:
        Sandbox(accounts=[{"account_id": "acc_1", "channel": "dana@example.com"}])
    assert "dana" not in str(caught.value)


@pytest.mark.parametrize(
    "start_of_a_request", [b"", b"GET /api/v1/conn", b"POST /api HTTP/1.1\r\nContent-Length: 9\r\n\r\n"]
)
def test_nobody_holds_the_stop(start_of_a_request):
    with Sandbox() as sandbox:
        client = socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])), timeout=30)
        client.sendall(start_of_a_request)
    assert not sandbox_threads()
    client.close()


def test_a_slow_answer_does_not_hold_the_stop(caplog, capfd):
    outcome = []

    def ask(url):
        try:
            requests.get(f"{url}/api/v1/connect/accounts", timeout=60)
        except requests.ConnectionError as error:
            outcome.append(error)

    with Sandbox() as sandbox:
        sandbox.slow(3600)
        client = threading.Thread(target=ask, args=[sandbox.url])
        client.start()
        sandbox.wait_for_requests(1)
    client.join()
    assert len(outcome) == 1
    assert sandbox.requests[0].status is None
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_clients_that_come_as_it_stops(caplog, capfd):
    for _ in range(20):
        with Sandbox() as sandbox:
            address = ("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
            clients = [socket.create_connection(address, timeout=30) for _ in range(5)]
            for client in clients:
                client.sendall(b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for client in clients:
            client.close()
    assert not sandbox_threads()
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_server_that_can_not_start_says_so(monkeypatch):
    def fail(*_, **__):
        raise SystemExit(3)

    monkeypatch.setattr("uvicorn.Server.startup", fail)
    with pytest.raises(RuntimeError, match="did not start") as caught:
        Sandbox().start()
    assert isinstance(caught.value.__cause__, SystemExit)
    assert not sandbox_threads()


def test_connection(revor_sandbox):
    assert revor_sandbox.connection == {
        "conn_type": "revor",
        "host": revor_sandbox.url,
        "password": "sk-revor-sandbox",
    }
    assert json.loads(revor_sandbox.connection_json) == revor_sandbox.connection


# Accounts


def test_accounts_are_what_the_api_serves(revor_sandbox, get):
    assert revor_sandbox.accounts == get().json()["items"]


def test_update_and_reconnect(revor_sandbox):
    changed = revor_sandbox.update_account("acc_email_inbox", status="error", name="Inbox")
    assert (changed["status"], changed["name"], changed["can_receive"]) == ("error", "Inbox", True)
    assert revor_sandbox.reconnect("acc_email_inbox")["can_send"] is True
    assert revor_sandbox.reconnect_all() == 3
    assert revor_sandbox.reconnect_all() == 0


def test_what_can_not_be_changed(revor_sandbox):
    before = revor_sandbox.accounts
    with pytest.raises(KeyError, match="acc_no"):
        revor_sandbox.reconnect("acc_no")
    with pytest.raises(ValueError, match="can_sent"):
        revor_sandbox.update_account("acc_email_anna", can_sent=True)
    with pytest.raises(ValueError, match="status"):
        revor_sandbox.update_account("acc_email_anna", status="fine")
    with pytest.raises(ValueError, match="unique"):
        revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}] * 2)
    assert revor_sandbox.accounts == before


# Faults


@pytest.mark.parametrize("retry_after", [2, 0.5, "Wed, 21 Oct 2065 07:28:00 GMT", "soon"])
def test_fail_429(revor_sandbox, get, retry_after):
    revor_sandbox.fail(429, retry_after=retry_after, headers={"X-RateLimit-Window-Ms": "60000"})
    response = get()
    assert response.status_code == 429
    assert response.headers["Retry-After"] == str(retry_after)
    assert response.headers["X-RateLimit-Window-Ms"] == "60000"
    error = response.json()["error"]
    assert error["code"] == "api_rate_limit_exceeded"
    assert error["request_id"] == revor_sandbox.requests[0].request_id
    assert get().status_code == 200


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_can_send"),
        (401, "api_key_invalid"),
        (403, "permission_denied"),
        (500, "internal_server_error"),
        (503, "service_unavailable"),
        (599, "unknown_error"),
    ],
)
def test_fail_has_a_code(revor_sandbox, get, status, code):
    revor_sandbox.fail(status)
    response = get()
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_fail_with_a_code_and_message(revor_sandbox, get):
    revor_sandbox.fail(409, code="idempotency_conflict", message="Another body.")
    error = get().json()["error"]
    assert (error["code"], error["message"]) == ("idempotency_conflict", "Another body.")


def test_answer(revor_sandbox, get):
    revor_sandbox.answer(502, "<h1>Bad Gateway ✗</h1>", {"Content-Type": "text/html; charset=utf-8"})
    revor_sandbox.answer(200, {"ok": True, "items": "none"})
    revor_sandbox.answer(200, ["a"], {"content-type": "application/problem+json"})
    revor_sandbox.answer()
    revor_sandbox.answer(204)
    page, wrong, typed, empty, nothing = (get() for _ in range(5))
    assert (page.status_code, page.text) == (502, "<h1>Bad Gateway ✗</h1>")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert wrong.json() == {"ok": True, "items": "none"}
    assert wrong.headers["Content-Type"] == "application/json"
    assert typed.headers["Content-Type"] == "application/problem+json"
    assert (empty.status_code, empty.content) == (200, b"")
    assert (nothing.status_code, nothing.content) == (204, b"")


def test_drop_sends_no_byte(revor_sandbox, caplog, capfd):
    revor_sandbox.drop()
    address = ("127.0.0.1", int(revor_sandbox.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as client:
        client.sendall(b"GET /api/v1/connect/accounts HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1) == b""
    revor_sandbox.stop()
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_truncate_sends_less_than_it_promised(revor_sandbox, caplog, capfd):
    revor_sandbox.truncate()
    address = ("127.0.0.1", int(revor_sandbox.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as client:
        client.sendall(b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, _, body = b"".join(iter(lambda: client.recv(4096), b"")).partition(b"\r\n\r\n")
    promised = next(int(line.split()[1]) for line in head.splitlines() if line.startswith(b"content-length"))
    assert 0 < len(body) < promised
    revor_sandbox.stop()
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_slow_answers_in_the_end(revor_sandbox, get):
    revor_sandbox.slow(0.05)
    response = get()
    assert response.json()["items"] == revor_sandbox.accounts
    assert response.elapsed.total_seconds() >= 0.05
    assert [(record.status, record.fault) for record in revor_sandbox.requests] == [(200, "slow")]


LIKE = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}


def test_slow_after_acting_answers_in_the_end(ready, post):
    ready.slow(0.05, after_acting=True)
    response = post("/linkedin/post-likes", LIKE)
    assert response.status_code == 202
    assert [job["id"] for job in ready.jobs] == [response.json()["item"]["id"]]
    assert [(record.status, record.fault) for record in ready.requests] == [(202, "slow")]


def test_slow_acts_late_unless_told_otherwise(ready, post):
    for after_acting, jobs in ((False, 0), (True, 1)):
        ready.slow(3600, after_acting=after_acting)
        with pytest.raises(requests.Timeout):
            post("/linkedin/post-likes", LIKE, timeout=1)
        ready.wait_for_requests(1 + after_acting)
        assert len(ready.jobs) == jobs
    assert [(record.status, record.fault) for record in ready.requests] == [(None, "slow")] * 2


def test_a_slow_answer_after_acting_does_not_hold_the_stop(ready, post):
    outcome = []

    def like():
        try:
            post("/linkedin/post-likes", LIKE, timeout=60)
        except requests.ConnectionError as error:
            outcome.append(error)

    ready.slow(3600, after_acting=True)
    client = threading.Thread(target=like)
    client.start()
    ready.wait_for_requests(1)
    assert len(ready.outbox) == 1
    ready.stop()
    client.join()
    assert len(outcome) == 1


def test_lose_answer_acts_and_sends_no_byte(ready, caplog, capfd):
    ready.lose_answer()
    body = json.dumps(LIKE).encode()
    address = ("127.0.0.1", int(ready.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as client:
        head = (
            f"POST /api/v1/outreach/linkedin/post-likes HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ready.api_key}\r\n"
        )
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert client.recv(1) == b""
    assert [job["status"] for job in ready.jobs] == ["succeeded"]
    assert [(record.status, record.fault) for record in ready.requests] == [(None, "lose_answer")]
    ready.stop()
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_retry_after_a_lost_answer_finds_the_job(ready, post):
    ready.lose_answer(times=2, method="POST")
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            post("/linkedin/post-likes", LIKE, key="once")
    item = post("/linkedin/post-likes", LIKE, key="once").json()["item"]
    assert [job["id"] for job in ready.jobs] == [item["id"]]


def test_half_a_body_is_nothing(ready, caplog, capfd):
    address = ("127.0.0.1", int(ready.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as client:
        head = f"POST /api/v1/outreach/dispatches HTTP/1.1\r\nHost: localhost\r\nx-api-key: {ready.api_key}\r\n"
        client.sendall(f"{head}Content-Length: 9\r\n\r\n{{".encode())
    ready.wait_for_requests(1)
    ready.stop()
    assert ready.jobs == []
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_faults_of_a_method_let_others_pass(ready, get, post):
    ready.fail(503, method="POST", times=2)
    ready.fail(429, method="GET")
    ready.fail(500)
    assert [get().status_code for _ in range(3)] == [429, 500, 200]
    assert [post("/linkedin/post-likes", LIKE).status_code for _ in range(3)] == [503, 503, 202]
    assert len(ready.jobs) == 1


@pytest.mark.parametrize(
    "script",
    [
        lambda sandbox: sandbox.fail(503, method="POST"),
        lambda sandbox: sandbox.answer(502, "x", method="POST"),
        lambda sandbox: sandbox.drop(method="POST"),
        lambda sandbox: sandbox.truncate(method="POST"),
        lambda sandbox: sandbox.slow(3600, method="POST"),
        lambda sandbox: sandbox.lose_answer(method="POST"),
    ],
)
def test_each_fault_takes_a_method(ready, get, script):
    script(ready)
    assert get().status_code == 200
    assert ready.requests[0].fault is None


def test_a_client_that_gives_up_is_counted(revor_sandbox, get):
    revor_sandbox.slow(3600)
    with pytest.raises(requests.Timeout):
        get(timeout=0.2)
    revor_sandbox.wait_for_requests(1)
    assert [(record.status, record.fault) for record in revor_sandbox.requests] == [(None, "slow")]
    assert get().status_code == 200


def test_faults_queue_in_order(revor_sandbox, get):
    revor_sandbox.fail(503, times=2)
    revor_sandbox.slow(0.01)
    revor_sandbox.fail(429)
    assert [get().status_code for _ in range(5)] == [503, 503, 200, 429, 200]
    revor_sandbox.fail(500, times=9)
    revor_sandbox.clear_faults()
    assert get().status_code == 200


def test_faults_come_before_the_key_and_spare_other_pages(revor_sandbox, get):
    revor_sandbox.fail(503)
    assert requests.get(f"{revor_sandbox.url}/docs", timeout=30).status_code == 200
    assert get(headers={}).status_code == 503


@pytest.mark.parametrize(
    "wrong", [{"status": 200}, {"status": 500, "times": 0}, {"status": 500, "headers": {"A": "\n"}}]
)
def test_faults_that_can_not_be(revor_sandbox, wrong):
    with pytest.raises(ValueError, match="validation error"):
        revor_sandbox.fail(**wrong)


# Requests


def test_the_total_is_exact_and_the_list_is_bounded(revor_sandbox):
    with requests.Session() as session:
        for _ in range(1005):
            session.get(f"{revor_sandbox.url}/api", timeout=30)
    assert revor_sandbox.request_count == 1005
    assert len(revor_sandbox.requests) == 1000
    revor_sandbox.reset_requests()
    assert (revor_sandbox.request_count, revor_sandbox.requests) == (0, [])


def test_records_are_copies(revor_sandbox, get):
    get()
    revor_sandbox.requests[0].status = 999
    assert revor_sandbox.requests[0].status == 200
    assert revor_sandbox.requests[0].received_at.utcoffset().total_seconds() == 0


def test_records_have_the_idempotency_key(ready, get, post):
    get()
    post("/linkedin/post-likes", LIKE, key="gate-1")
    post("/linkedin/post-likes", LIKE, key=f"{ready.api_key}-1")
    assert [record.idempotency_key for record in ready.requests] == [None, "gate-1", "***-1"]


def test_wait_for_requests(revor_sandbox, get):
    client = threading.Thread(target=lambda: [get() for _ in range(3)])
    client.start()
    revor_sandbox.wait_for_requests(3, timeout=30)
    client.join()
    assert revor_sandbox.request_count == 3
    with pytest.raises(TimeoutError, match="3 of 4 requests"):
        revor_sandbox.wait_for_requests(4, timeout=0.01)


def test_on_request_tells_each():
    seen = []
    with Sandbox(on_request=seen.append) as sandbox:
        sandbox.fail(503)
        for _ in range(2):
            requests.get(f"{sandbox.url}/api/v1/connect/accounts", timeout=30)
    assert [(record.status, record.fault) for record in seen] == [(503, "error"), (401, None)]


def test_threads_share_it(revor_sandbox, get):
    revor_sandbox.fail(503, times=20)
    statuses = []
    clients = [threading.Thread(target=lambda: statuses.extend(get().status_code for _ in range(10))) for _ in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert sorted(statuses) == [200] * 20 + [503] * 20
    assert revor_sandbox.request_count == 40
