"""``make ui``: what it prints is there, and its end leaves nothing behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest
import requests
from project import EXAMPLES, ROOT

pytestmark = pytest.mark.system


@pytest.fixture
def ui(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, str(ROOT / "scripts/run_ui.py")], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        yield process
        process.send_signal(signal.SIGTERM)


def read_until(process, pattern):
    text = ""
    for line in process.stdout:
        text += line
        if re.search(pattern, line):
            return text
    pytest.fail(f"it ended:\n{text}")


def processes_of(home):
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("AIRFLOW_HOME", "").startswith(str(home)):
                found.append(process.cmdline())
    return found


def test_it_serves_what_it_prints_and_ctrl_c_ends_it_all(ui, tmp_path):
    text = read_until(ui, "^Ctrl-C")
    airflow, sandbox = (re.search(rf"^{name}: +(\S+)", text, re.MULTILINE)[1] for name in ("Airflow", "Sandbox"))
    assert processes_of(tmp_path)

    with requests.Session() as http:
        assert http.get(airflow, timeout=30).status_code == 200
        assert http.get(sandbox, timeout=30).status_code == 200
        token = http.get(f"{airflow}/auth/token", timeout=30).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        connection = http.get(f"{airflow}/api/v2/connections/revor_default", timeout=30).json()
        assert (connection["conn_type"], connection["host"]) == ("revor", sandbox)
        dags = http.get(f"{airflow}/api/v2/dags", timeout=30).json()["dags"]
        assert len(dags) >= len(EXAMPLES)
        assert not any(dag["is_paused"] for dag in dags)

    ui.send_signal(signal.SIGINT)
    assert ui.wait(60) == 0
    assert "Stopped." in ui.stdout.read()
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_ended_while_it_starts(ui, tmp_path):
    read_until(ui, "Starting")
    ui.send_signal(signal.SIGTERM)
    assert ui.wait(60) == 0
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
