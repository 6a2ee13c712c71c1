"""What is counted, by which names and tags; and that nothing is while metrics are off."""

from __future__ import annotations

import re
import socket
from collections import Counter
from datetime import timedelta

import pytest
from both_ways import both
from factories import item, job, listing, refusal, resource
from outreach_tasks import context, dispatch
from project import ROOT

from airflow_provider_revor import metrics
from airflow_provider_revor.api.jobs import job_from_dict
from airflow_provider_revor.exceptions import RevorError
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.metrics import METRICS, count_accounts, count_job, count_messages
from airflow_provider_revor.sensors.outreach import OutreachJobSensor

API = "https://revor.ai/api/v1"


class Recorder:
    """A backend that remembers what it is given."""

    def __init__(self):
        self.sent = []

    def incr(self, stat, count=1, rate=1, *, tags=None):
        self.sent.append(("counter", stat, count, tags))

    def gauge(self, stat, value, rate=1, delta=False, *, tags=None):
        self.sent.append(("gauge", stat, value, tags))

    def timing(self, stat, dt, *, tags=None):
        assert isinstance(dt, timedelta)
        assert dt >= timedelta(0)
        self.sent.append(("timer", stat, None, tags))

    def of(self, name):
        """The values of a metric, by its tags' values."""
        return {tuple(tags.values()): value for _, stat, value, tags in self.sent if stat == name}


def switch(monkeypatch, **options):
    for option in ("statsd_on", "statsd_influxdb_enabled", "statsd_datadog_enabled", "otel_on"):
        monkeypatch.setenv(f"AIRFLOW__METRICS__{option.upper()}", str(options.get(option, False)))
    for cached in (metrics._is_on, metrics._has_tags):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def forget():
    yield
    for cached in (metrics._is_on, metrics._has_tags):
        cached.cache_clear()


@pytest.fixture
def stats(monkeypatch):
    """Metrics with tags."""
    switch(monkeypatch, otel_on=True)
    recorder = Recorder()
    monkeypatch.setattr(metrics, "load_stats", lambda: recorder)
    return recorder


@both
def test_a_list_counts_its_request_and_its_accounts(connect, revor_sandbox, stats, ask):
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key)
    revor_sandbox.set_accounts(
        [
            {"account_id": "acc_1", "channel": "email"},
            {"account_id": "acc_2", "channel": "email", "can_send": False},
            {"account_id": "acc_3", "channel": "linkedin"},
        ]
    )
    ask()
    assert stats.of("revor.requests") == {("revor_default", "success"): 1}
    assert list(stats.of("revor.request_duration")) == [("revor_default",)]
    assert stats.of("revor.accounts.sendable") == {
        ("revor_default", "email"): 1,
        ("revor_default", "linkedin"): 1,
        # Its gauge falls when the last account is gone.
        ("revor_default", "whatsapp"): 0,
    }
    assert stats.of("revor.accounts.blocked")["revor_default", "email"] == 1
    assert "acc_" not in str(stats.sent)


def test_a_list_of_a_channel_says_nothing_of_the_others(connect, requests_mock, stats):
    connect()
    requests_mock.get(f"{API}/connect/accounts", json=listing(item()))
    RevorHook().list_connect_accounts("email")
    assert stats.of("revor.accounts.sendable") == {("revor_default", "email"): 1}


def test_a_list_by_can_send_says_nothing_of_how_many_cannot(connect, requests_mock, stats):
    connect()
    requests_mock.get(f"{API}/connect/accounts", json=listing(item()))
    RevorHook().list_connect_accounts(can_send=True)
    assert stats.of("revor.accounts.sendable") == {}
    RevorHook().list_connect_accounts(can_send="")
    assert len(stats.of("revor.accounts.sendable")) == 3


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"status_code": 429, "json": refusal("api_rate_limit_exceeded")}, "rate_limit"),
        ({"status_code": 503, "json": refusal("odd")}, "server_error"),
        ({"exc": ConnectionError("refused")}, "no_response"),
        ({"text": "<html>"}, "not_revor"),
        ({"status_code": 401, "json": refusal("api_key_invalid")}, "rejected"),
        ({"status_code": 404, "json": refusal("endpoint_not_found")}, "rejected"),
    ],
)
def test_a_request_that_fails_counts_as_what_it_met(connect, requests_mock, stats, answer, outcome):
    connect(extra={"max_retries": 0})
    requests_mock.get(f"{API}/connect/accounts", **answer)
    with pytest.raises(RevorError):
        RevorHook().list_connect_accounts()
    assert stats.of("revor.requests") == {("revor_default", outcome): 1}
    assert stats.of("revor.rate_limit.hits") == ({("revor_default",): 1} if outcome == "rate_limit" else {})
    assert stats.of("revor.accounts.sendable") == {}


def test_retries_and_what_is_left_of_the_limit_are_counted(connect, requests_mock, stats, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    connect(extra={"max_retries": 2})
    left = {"X-RateLimit-Remaining": "7", "X-RateLimit-Window-Ms": "60000"}
    requests_mock.get(
        f"{API}/connect/accounts",
        [{"status_code": 503, "json": refusal("odd")}, {"json": listing(), "headers": left}],
    )
    RevorHook().list_connect_accounts()
    assert Counter(name for _, name, _, _ in stats.sent)["revor.retries"] == 1
    assert stats.of("revor.requests") == {("revor_default", "server_error"): 1, ("revor_default", "success"): 1}
    assert stats.of("revor.rate_limit.remaining") == {("revor_default",): 7}


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "sent"),
        ({"result": {"status": "skipped"}}, "skipped"),
        ({"status": "failed", "result": None}, "failed"),
        ({"status": "cancelled", "result": None}, "failed"),
        ({"status": "queued", "result": None}, "accepted"),
    ],
)
def test_a_job_is_a_message_of_its_outcome(stats, changes, outcome):
    count_job("c", job_from_dict(job(**changes)))
    assert stats.of("revor.messages") == {("c", "email", outcome): 1}


@pytest.mark.parametrize(("waits", "outcome"), [(True, "sent"), (False, "accepted")])
def test_a_dispatch_counts_its_message_once(connect, revor_sandbox, stats, waits, outcome):
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key)
    revor_sandbox.set_accounts([{"account_id": "acc_email", "channel": "email"}])
    revor_sandbox.script_jobs(after=0.1)
    dispatch(wait_for_completion=waits).execute(context())
    assert stats.of("revor.messages") == {("revor_default", "email", outcome): 1}
    assert "example.com" not in str(stats.sent)


def test_a_job_sensor_counts_the_end(connect, requests_mock, stats):
    connect()
    requests_mock.get(f"{API}/outreach/jobs/job_1", json=resource(job()))
    OutreachJobSensor(task_id="t", job_id="job_1", deferrable=False).execute({})
    assert stats.of("revor.messages") == {("revor_default", "email", "sent"): 1}


def test_messages_are_counted_together(stats):
    count_messages("c", [("email", "sent")] * 3 + [("email", "failed"), (None, "failed")])
    assert stats.of("revor.messages") == {
        ("c", "email", "sent"): 3,
        ("c", "email", "failed"): 1,
        ("c", "unknown", "failed"): 1,
    }


def test_channels_that_revor_makes_up_are_one(stats):
    from factories import account

    count_accounts("c", [account(channel=f"new-{n}" * 100) for n in range(50)], ["email"])
    assert stats.of("revor.accounts.sendable") == {("c", "email"): 0, ("c", "other"): 50}


ODD_IDS = ["ключ", "доме", "c" * 200, "c" * 201, "a.b", "a_b", "a b", "a:1|c\n", "a,b=c", ""]


def test_odd_connection_ids_stay_apart_and_make_legal_names(monkeypatch):
    from string import ascii_letters, digits

    switch(monkeypatch, statsd_on=True)
    recorder = Recorder()
    monkeypatch.setattr(metrics, "load_stats", lambda: recorder)
    for conn_id in ODD_IDS:
        count_messages(conn_id, [("email", "sent")])
    names = [name for _, name, _, _ in recorder.sent]
    assert len(set(names)) == len(ODD_IDS)
    for name, (_, _, _, tags) in zip(names, recorder.sent, strict=True):
        assert set(name) <= {*ascii_letters, *digits, *"_.-"}
        assert len(name) < 200
        assert set("".join(tags.values())) <= {*ascii_letters, *digits, *"_.-"}
    assert "revor.messages.a_b.email.sent" in names


def test_what_a_form_tests_is_not_counted(connect, requests_mock, stats):
    connect()
    requests_mock.get(f"{API}/connect/accounts", json=listing(item()))
    assert RevorHook().test_connection()[0]
    assert stats.sent == []


def test_a_backend_that_fails_fails_nothing(connect, requests_mock, monkeypatch):
    switch(monkeypatch, otel_on=True)

    def broken():
        raise OSError("no such host")

    monkeypatch.setattr(metrics, "load_stats", broken)
    connect()
    requests_mock.get(f"{API}/connect/accounts", json=listing(item()))
    assert len(RevorHook().list_connect_accounts()) == 1


def test_nothing_is_counted_while_metrics_are_off(connect, requests_mock, monkeypatch):
    switch(monkeypatch)
    monkeypatch.setattr(metrics, "_emit", None)
    connect()
    requests_mock.get(f"{API}/connect/accounts", json=listing(item()))
    RevorHook().list_connect_accounts()
    count_messages("c", [("email", "sent")])


def test_the_documentation_has_each_metric():
    section = (ROOT / "docs/guides/operating.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\w+) \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    assert rows == [
        (name, metric.kind, ", ".join(f"`{tag}`" for tag in metric.tags), metric.meaning)
        for name, metric in METRICS.items()
    ]
    assert {tag for metric in METRICS.values() for tag in metric.tags} == {"conn_id", "channel", "outcome"}


# -- StatsD itself ---------------------------------------------------------------------------------------

DAG_FILE = """
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_revor.operators.outreach import OutreachDispatchOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG("counted", schedule=None) as the_dag:
    gate = SendableAccountSensor(task_id="gate", channel="email")
    OutreachDispatchOperator(
        task_id="send",
        account_id=gate.output["account_id"],
        channel="email",
        recipient={"address": "dana@example.com"},
        content={"subject": "Hello", "text": "A secret"},
        poke_interval=0.1,
    )
"""

RUN = """
import sys
from {module} import the_dag
the_dag.test()
"""


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        (
            False,
            {
                "airflow.revor.accounts.sendable.revor_default.email:1|g",
                "airflow.revor.messages.revor_default.email.sent:1|c",
                "airflow.revor.requests.revor_default.success:1|c",
            },
        ),
        (
            True,
            {
                "airflow.revor.accounts.sendable,conn_id=revor_default,channel=email:1|g",
                "airflow.revor.messages,conn_id=revor_default,channel=email,outcome=sent:1|c",
                "airflow.revor.requests,conn_id=revor_default,outcome=success:1|c",
            },
        ),
    ],
    ids=["plain", "tags"],
)
def test_a_statsd_server_gets_what_a_dag_counts(dag_file, connect, revor_sandbox, tags, wanted):
    import os
    import subprocess
    import sys

    pytest.importorskip("statsd")
    connect(host=revor_sandbox.url, password=revor_sandbox.api_key)
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
    module = dag_file("counted", DAG_FILE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)
        # In a process of its own: Airflow reads its settings for metrics once.
        env = {
            **os.environ,
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(server.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": str(tags),
            "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "revor",
            "PYTHONPATH": os.path.dirname(module.__file__),
        }
        code = RUN.format(module=module.__name__)
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        server.settimeout(0.5)
        lines = set()
        try:
            while True:
                lines |= set(server.recv(65_536).decode().splitlines())
        except TimeoutError:
            pass
    assert wanted <= lines, f"{sorted(lines)}\n{run.stdout[-3000:]}{run.stderr[-3000:]}"
    assert all(line.startswith("airflow.revor.") for line in lines)
    assert any(re.match(r"airflow\.revor\.request_duration[.,].*\|ms$", line) for line in lines)
    assert not [line for line in lines if "acc_1" in line or "example" in line]
