"""The command line, for people and for scripts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from airflow.utils import yaml

from airflow_provider_revor.__main__ import main
from airflow_provider_revor.cli.definition import COMMANDS
from airflow_provider_revor.cli.output import print_rows
from airflow_provider_revor.rules.campaign import LIKES, MESSAGES, campaign_key
from airflow_provider_revor.rules.keys import attempt_key, task_key
from airflow_provider_revor.version_compat import CLI_COMMANDS

ACCOUNTS = [
    {"account_id": "acc_ok", "channel": "email", "name": "[red]Anna", "account_identifier": "anna@example.com"},
    {"account_id": "acc_off", "channel": "email", "status": "credentials", "can_send": False},
    {"account_id": "acc_desk", "channel": "whatsapp", "can_send": False},
]


def run(capsys, *argv):
    """Run a command; return its exit code and what it printed."""
    # Airflow 2 logs to standard output.
    capsys.readouterr()
    try:
        code = main(argv)
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def revor(revor_sandbox):
    revor_sandbox.set_accounts(ACCOUNTS)
    return revor_sandbox


def test_accounts_tell_which_can_send_and_why_the_others_cannot(revor, capsys):
    code, out, _ = run(capsys, "accounts")
    assert code == 0
    ok, off, desk = (next(line for line in out.splitlines() if name in line) for name in ("_ok", "_off", "_desk"))
    assert ok.startswith("✓")
    assert "[red]Anna" in ok
    assert off.startswith("✗")
    assert "https://revor.ai/console/connect" in off
    assert desk.startswith("✗")


@pytest.mark.parametrize(
    ("argv", "ids"),
    [
        ((), ["acc_ok", "acc_off", "acc_desk"]),
        (("--sendable",), ["acc_ok"]),
        (("--channel", "email"), ["acc_ok", "acc_off"]),
        (("--channel", "whatsapp", "--sendable"), []),
    ],
)
def test_accounts_as_json_and_yaml(revor, capsys, argv, ids):
    for output, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        code, out, _ = run(capsys, "accounts", *argv, "-o", output)
        assert (code, [row["account_id"] for row in read(out)]) == (0, ids)
        assert all(row["sendable"] is (row["reason"] is None) for row in read(out))


def test_identifiers_are_shown_to_who_asks_for_them(revor, capsys):
    for output in ("table", "plain", "json", "yaml"):
        assert "anna@example.com" not in run(capsys, "accounts", "-o", output)[1]
        assert "anna@example.com" in run(capsys, "accounts", "-o", output, "--show-identifiers")[1]


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        ((), 0, "Account acc_ok can send on email."),
        (("--channel", "email"), 0, "acc_ok"),
        (("--account-id", "acc_off"), 1, "credentials"),
        (("--channel", "whatsapp"), 1, "can_send is false"),
        (("--channel", "linkedin"), 1, "No linkedin account is connected"),
        (("--channel", "whatsapp", "--account-id", "acc_ok"), 2, "can never send on whatsapp"),
    ],
)
def test_check_is_for_scripts(revor, capsys, argv, code, told):
    ended, out, err = run(capsys, "check", *argv)
    assert (ended, told in out + err) == (code, True)


@pytest.mark.parametrize("argv", [("accounts",), ("check",), ("job", "job_1")])
def test_what_cannot_be_learned_is_one_line_and_2(revor, capsys, argv):
    revor.revoke_key()
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert "api_key_invalid" in err
    assert "Traceback" not in err
    assert revor.api_key not in err


def send(revor, address="a@example.com"):
    from airflow_provider_revor.hooks.revor import RevorHook

    content = {"subject": "Hello", "text": "Hello"}
    with RevorHook() as hook:
        hook.create_outreach_dispatch("acc_ok", "email", {"address": address}, content, idempotency_key=address)
    return revor.jobs[-1]["id"]


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 1)])
def test_a_job_tells_how_it_ended(revor, capsys, status, code):
    revor.script_jobs(status)
    job_id = send(revor)
    ended, out, _ = run(capsys, "job", job_id, "-o", "json")
    assert (ended, json.loads(out)[0]["status"]) == (code, status)
    assert status in run(capsys, "job", job_id)[1]


def test_watching_a_job_tells_of_changes_and_goes_on_after_a_hiccup(revor, capsys, monkeypatch):
    revor.script_jobs(after=None)
    job_id = send(revor)
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            revor.fail(500)
        if len(pauses) == 4:
            revor.finish_job(job_id)

    monkeypatch.setattr("time.sleep", sleep)
    code, out, err = run(capsys, "job", job_id, "--watch", "--interval", "0")
    assert (code, "succeeded" in out, err.count("is running")) == (0, True, 1)
    assert "500" in err
    # However often it is asked to.
    assert set(pauses) == {1.0}


def test_a_job_that_there_is_not(revor, capsys):
    code, _, err = run(capsys, "job", "job_none")
    assert (code, "external_api_job_not_found" in err) == (2, True)


@pytest.fixture
def v2(revor, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_REVOR_DEFAULT", connection_json(revor, {"api_version": "v2"}))
    return revor


def connection_json(revor, extra):
    return json.dumps({"conn_type": "revor", "host": revor.url, "password": revor.api_key, "extra": extra})


def test_cancel_shows_how_each_job_stood_and_stands(v2, capsys):
    v2.script_jobs(scheduled_in=3_600)
    v2.script_jobs(after=None)
    waits, runs = send(v2), send(v2, "b@example.com")

    code, out, _ = run(capsys, "cancel", waits, "-o", "json")
    assert code == 0
    assert [(row["id"], row["status_before"], row["status"]) for row in json.loads(out)] == [
        (waits, "scheduled", "cancelled")
    ]
    # One that runs is 1, whatever became of the others; naming a job twice is no harm.
    code, out, _ = run(capsys, "cancel", waits, runs, waits, "-o", "json")
    assert code == 1
    assert [(row["id"], row["status_before"], row["status"]) for row in json.loads(out)] == [
        (waits, "cancelled", "cancelled"),
        (runs, "running", "running"),
    ]
    assert "running" in run(capsys, "cancel", runs)[1]


def test_a_job_that_cannot_be_cancelled_does_not_keep_the_others_from_it(v2, capsys):
    v2.script_jobs(scheduled_in=3_600, times=None)
    first, last = send(v2), send(v2, "b@example.com")
    code, out, err = run(capsys, "cancel", first, "job_none", last, "-o", "json")
    assert (code, [row["status"] for row in json.loads(out)]) == (2, ["cancelled", "cancelled"])
    assert err.startswith("job_none: ")
    assert err.count("\n") == 1
    # One that has not begun, and whose cancel Revor rejects, neither.
    ids = [send(v2, f"{name}@example.com") for name in "cd"]
    v2.fail(409, code="some_code", method="POST")
    code, out, err = run(capsys, "cancel", *ids, "-o", "json")
    assert (code, [row["id"] for row in json.loads(out)]) == (2, ids[1:])
    assert err.startswith(f"{ids[0]}: ")


def test_cancel_is_refused_on_v1_without_a_request(revor, capsys):
    code, out, err = run(capsys, "cancel", "job_1", "job_2")
    assert (code, out, revor.request_count) == (2, "", 0)
    assert err.count("\n") == 1
    assert "v1 of the Revor API, which cannot cancel. Set its extra `api_version`" in err


def test_cancel_asks_nothing_on_a_pipe(v2):
    v2.script_jobs(scheduled_in=3_600)
    command = [sys.executable, "-m", "airflow_provider_revor", "cancel", send(v2), "-o", "plain"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (ended.returncode, "cancelled" in ended.stdout) == (0, True)


IDS = ("--dag-id", "leads", "--run-id", "r 1", "--task-id", "group.send")


def test_the_key_of_a_message(capsys):
    key = task_key("leads", "r 1", "group.send", {"address": "ada@example.com"})
    assert run(capsys, "key", *IDS, "--address", "Ada@Example.com")[1] == f"{key}\n"
    assert run(capsys, "key", *IDS, "--address", "ada@example.com", "--attempt", "2")[1] == f"{attempt_key(key, 2)}\n"
    for argv in ((), ("--phone", "1", "--address", "a@b.c"), ("--address", "a@b.c", "--attempt", "0")):
        code, _, err = run(capsys, "key", *IDS, *argv)
        assert (code, err.count("\n")) == (2, 1)


def test_the_key_of_a_message_of_a_campaign(capsys):
    """All of its tasks use the same one."""
    ada = ("--profile-url", "https://www.linkedin.com/in/ada")
    for argv, kind in (((), MESSAGES), (("--likes",), LIKES)):
        key = campaign_key("spring", kind, {"profile_url": ada[1]})
        assert run(capsys, "key", "--campaign", " spring ", *argv, *ada)[1] == f"{key}\n"
    for argv in ((*IDS, "--campaign", "spring"), IDS[:4], (*IDS, "--likes"), ()):
        code, _, err = run(capsys, "key", *argv, *ada)
        assert (code, err.count("\n")) == (2, 1)
        assert "--campaign alone" in err


def test_without_a_connection_the_variables_of_revors_clients_serve(revor, capsys, monkeypatch, airflow_db):
    monkeypatch.delenv("AIRFLOW_CONN_REVOR_DEFAULT")
    code, _, err = run(capsys, "check")
    assert (code, "set REVOR_API_KEY" in err) == (2, True)
    monkeypatch.setenv("REVOR_API_KEY", revor.api_key)
    monkeypatch.setenv("REVOR_BASE_URL", revor.url)
    assert run(capsys, "check")[0] == 0
    # A connection that was asked for by name is not replaced.
    code, _, err = run(capsys, "check", "--conn-id", "another")
    assert (code, "'another'" in err) == (2, True)


def test_a_connection_in_the_metadata_database_is_found(revor, monkeypatch, airflow_db):
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    monkeypatch.delenv("AIRFLOW_CONN_REVOR_DEFAULT")
    with create_session() as session:
        session.add(Connection(conn_id="stored", **revor.connection))
    try:
        check = [sys.executable, "-m", "airflow_provider_revor", "check", "--conn-id", "stored"]
        assert subprocess.run(check, capture_output=True).returncode == 0
    finally:
        with create_session() as session:
            session.query(Connection).filter_by(conn_id="stored").delete()


def test_the_sandbox_is_a_command_too(capsys):
    code, out, _ = run(capsys, "sandbox", "--help")
    assert (code, "--ready-after" in out) == (0, True)


@pytest.mark.parametrize("argv", [[], ["accounts", "--channel", "sms"], ["job"], ["cancel"], ["nonsense"]])
def test_a_wrong_call_is_2_with_help(capsys, argv):
    code, _, err = run(capsys, *argv)
    assert (code, "usage:" in err) == (2, True)


@pytest.mark.skipif(not CLI_COMMANDS, reason="Airflow 3.2+ takes commands of providers")
def test_airflow_has_the_commands():
    airflow = [sys.executable, "-m", "airflow", "revor", "--help"]
    text = subprocess.run(airflow, check=True, capture_output=True, text=True).stdout
    assert all(command.name in text for command in COMMANDS)


def test_watching_a_job_keeps_away_for_as_long_as_revor_asks(revor, capsys, monkeypatch):
    revor.script_jobs(after=None)
    job_id = send(revor)
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        revor.fail(429, retry_after=120) if len(pauses) == 1 else revor.finish_job(job_id)

    monkeypatch.setattr("time.sleep", sleep)
    assert run(capsys, "job", job_id, "--watch")[0] == 0
    assert pauses[0] == 10
    assert 120 <= pauses[1] <= 132


@pytest.mark.parametrize("interval", ["nan", "inf", "-1"])
def test_an_interval_that_is_none(revor, capsys, interval):
    code, _, err = run(capsys, "job", "job_1", "--watch", f"--interval={interval}")
    assert (code, "--interval" in err, revor.request_count) == (2, True, 0)


def test_json_shows_what_a_terminal_would_obey_escaped(capsys):
    hostile = "\x9b31m\u202e\ud800"
    print_rows([{"id": hostile}], "json")
    out = capsys.readouterr().out
    assert out.rstrip("\n").isprintable()
    assert json.loads(out) == [{"id": hostile}]


@pytest.mark.parametrize("recipient", [("--address", ""), ("--phone", " ")])
def test_a_key_of_nobody(capsys, recipient):
    code, _, err = run(capsys, "key", "--dag-id", "d", "--run-id", "r", "--task-id", "t", *recipient)
    assert (code, "Give one of" in err) == (2, True)


def test_a_job_id_that_is_not_valid_text(revor, capsys):
    code, _, err = run(capsys, "job", "\udcff")
    assert (code, "must be valid text" in err, revor.request_count) == (2, True, 0)
