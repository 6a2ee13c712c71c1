"""``python -m airflow_provider_revor.sandbox``, as a process of its own."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests

from airflow_provider_revor.sandbox.__main__ import main

COMMAND = [sys.executable, "-W", "error", "-m", "airflow_provider_revor.sandbox"]


@contextmanager
def running(*arguments):
    """Yield the process, its URL and the connection of its ready line; see that it ends well."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell has its background jobs ignore Ctrl-C, and what they start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            lines = [process.stdout.readline() for _ in range(4)]
            url = re.search(r"http://127\.0\.0\.1:\d+", lines[0]).group()
            assert url + "/docs" in lines[2]
            export, assignment = shlex.split(lines[3])
            assert export == "export"
            connection = json.loads(assignment.removeprefix("AIRFLOW_CONN_REVOR_DEFAULT="))
            assert connection == {"conn_type": "revor", "host": url, "password": lines[1].split()[-1]}
            yield process, url, {"x-api-key": connection["password"]}
        finally:
            process.terminate()
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def refused(*arguments, code):
    result = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == code
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def test_it_prints_requests_without_what_they_hold():
    with running() as (process, url, headers):
        requests.get(f"{url}/api/v1/connect/accounts?channel=email", headers=headers, timeout=30)
        requests.post(f"{url}/sandbox/faults", json={"kind": "drop"}, timeout=30)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{url}/api/v1/connect/accounts", timeout=30)
        requests.get(f"{url}/api/%1B%5B2J{headers['x-api-key']}", timeout=30)
        assert [process.stdout.readline() for _ in range(3)] == [
            "GET /api/v1/connect/accounts 200\n",
            "GET /api/v1/connect/accounts (fault: drop)\n",
            "GET /api/%1B%5B2J*** 404\n",
        ]


def test_it_prints_no_bodies():
    body = {
        "account_id": "acc_email_anna",
        "channel": "email",
        "action": "outreach",
        "recipient": {"address": "dana@example.com"},
        "content": {"subject": "Hello", "text": "Hello Dana"},
    }
    with running() as (process, url, headers):
        requests.post(f"{url}/sandbox/accounts/acc_email_anna/reconnect", timeout=30)
        for sent in (body, {"channel": "dana@example.com"}):
            headers["Idempotency-Key"] = "dana"
            requests.post(f"{url}/api/v1/outreach/dispatches", json=sent, headers=headers, timeout=30)
        assert [process.stdout.readline() for _ in range(2)] == [
            "POST /api/v1/outreach/dispatches 202\n",
            "POST /api/v1/outreach/dispatches 400\n",
        ]


def test_ready_after():
    with running("--ready-after", "0.01") as (process, url, headers):
        assert process.stdout.readline() == "Reconnected 3 account(s): ready to send\n"
        answer = requests.get(f"{url}/api/v1/connect/accounts?can_send=1", headers=headers, timeout=30)
        assert len(answer.json()["items"]) == 3


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: {"ok": True, "items": items}])
def test_accounts_from_a_file(tmp_path, wrap):
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(wrap([{"account_id": "acc_1", "channel": "email"}])))
    with running("--accounts", str(file)) as (_, url, headers):
        answer = requests.get(f"{url}/api/v1/connect/accounts", headers=headers, timeout=30)
        assert [item["account_id"] for item in answer.json()["items"]] == ["acc_1"]


@pytest.mark.parametrize(("arguments", "status"), [([], "queued"), (["--keep-intervals"], "scheduled")])
def test_keep_intervals(arguments, status):
    like = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}
    with running("--ready-after", "0", *arguments) as (process, url, headers):
        process.stdout.readline()
        sent = [
            requests.post(f"{url}/api/v1/outreach/linkedin/post-likes", json=like, headers=headers, timeout=30)
            for _ in range(2)
        ]
        assert [answer.json()["item"]["status"] for answer in sent] == ["queued", status]


def test_ctrl_c_ends_it():
    with running() as (process, _, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_taken_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        error = refused("--port", port, code=1)
    assert error.count("\n") == 1
    assert error.startswith(f"error: can't listen on port {port} (Address already in use)")


@pytest.fixture
def refused_here(capsys):
    """Do the same in this process, which is faster."""
    handler = signal.getsignal(signal.SIGTERM)

    def call(*arguments):
        code = main(arguments)
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    yield call
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[", "Expecting value"),
        (b"\xff", "utf-8"),
        (b"3", "a JSON list is expected"),
        (b'{"items": 1}', "a JSON list is expected"),
        (b'[{"account_id": "acc_1", "channel": "dana@example.com"}]', "items.0.channel: "),
        (b'[{"channel": "email"}]', "items.0.account_id: Field required"),
    ],
)
def test_a_bad_accounts_file(refused_here, tmp_path, content, reason):
    file = tmp_path / "accounts.json"
    file.write_bytes(content)
    code, error = refused_here("--accounts", str(file))
    assert code == 2
    assert error.count("\n") == 1
    assert str(file) in error
    assert reason in error
    assert "dana" not in error


def test_a_missing_accounts_file(tmp_path):
    error = refused("--accounts", str(tmp_path / "none.json"), code=2)
    assert error.count("\n") == 1
    assert "No such file" in error


@pytest.mark.parametrize(
    "arguments",
    [["--port", "65536"], ["--port", "x"], ["--ready-after", "-1"], ["--ready-after", "nan"], ["extra"]],
)
def test_bad_arguments(refused_here, capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        refused_here(*arguments)
    assert "usage:" in capsys.readouterr().err


def test_without_the_extra():
    script = (
        "import runpy, sys; sys.modules['fastapi'] = None;"
        "sys.argv = ['sandbox', '--port', '0'];"
        "runpy.run_module('airflow_provider_revor.sandbox', run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "pip install 'airflow-provider-revor[sandbox]'" in result.stderr
    assert result.stderr.count("\n") == 1
