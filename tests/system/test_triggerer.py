"""What begins, ends or watches in the triggerer, in a real Airflow against the sandbox over real sockets."""

from __future__ import annotations

import time

import pytest
from project import ROOT
from system.airflow_cluster import AirflowCluster

from airflow_provider_revor.sandbox.server import Sandbox
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not START_FROM_TRIGGER, reason="gates start from the trigger on Airflow 3.3+"),
]

INTERVAL = 3
PURE_GATES = 20
LATE_GATES = 8

GATES = f"""
from airflow.sdk import DAG

from airflow_provider_revor.sensors.connect import SendableAccountSensor

COMMON = dict(poke_interval={INTERVAL}, start_from_trigger=True)

with DAG("pure", schedule=None, params={{"channel": "email"}}):
    for number in range({PURE_GATES}):
        SendableAccountSensor(
            task_id=f"gate_{{number:02}}", channel="{{{{ params.channel }}}}", do_xcom_push=False, **COMMON
        )

with DAG("handing_on", schedule=None, params={{"account_id": "acc_email_anna"}}):
    SendableAccountSensor(task_id="gate", account_id="{{{{ params.account_id }}}}", **COMMON)

with DAG("unnamed", schedule=None, params={{"account_id": None}}):
    SendableAccountSensor(task_id="gate", account_id="{{{{ params.account_id }}}}", retries=3, **COMMON)

with DAG("mapped", schedule=None):
    SendableAccountSensor.partial(task_id="gate", **COMMON).expand(channel=["email", "linkedin"])

with DAG("too_late", schedule=None):
    SendableAccountSensor(task_id="gate", channel="email", timeout=5, **COMMON)
    SendableAccountSensor(task_id="soft", channel="email", timeout=5, soft_fail=True, **COMMON)

with DAG("beside_watchers", schedule=None):
    for number in range(5):
        SendableAccountSensor(task_id=f"gate_{{number:02}}", channel="email", **COMMON)

for name, channel in [("first", "email"), ("joining", "linkedin")]:
    with DAG(name, schedule=None):
        for number in range(5):
            SendableAccountSensor(
                task_id=f"gate_{{number}}", channel=channel, poke_interval=600, timeout=60, start_from_trigger=True
            )

for name, gates in [("early", 1), ("late", {LATE_GATES})]:
    with DAG(name, schedule=None):
        for number in range(gates):
            SendableAccountSensor(
                task_id=f"gate_{{number}}", channel="email", poke_interval={INTERVAL}, deferrable=True, retries=0
            )
"""

# The example as it is, but for an interval that a test can wait for.
WATCHERS = (
    (ROOT / "example_dags" / "example_on_account_ready.py")
    .read_text()
    .replace("SendableAccountEventTrigger(", f"SendableAccountEventTrigger(poke_interval={INTERVAL}, ")
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    dags = {"gates.py": GATES, "watchers.py": WATCHERS}
    # Airflow's default, with which a worker reports the end of a task up to 5 seconds late.
    config = {"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5"}
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), dags, config) as cluster:
        yield cluster


@pytest.fixture
def sandbox(cluster):
    """A sandbox that the connection ``revor_default`` leads to, for as long as the test lasts."""
    with Sandbox() as sandbox:
        cluster.api("POST", "/connections", connection_id="revor_default", **sandbox.connection)
        yield sandbox
        cluster.api("DELETE", "/connections/revor_default")


def asset_events(cluster, name):
    return cluster.sql(
        "SELECT asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_id WHERE asset.name = ? "
        "ORDER BY asset_event.id",
        name,
    )


def some_polls(sandbox, count=4):
    sandbox.wait_for_requests(sandbox.request_count + count, timeout=120)


# The first test: what the others do to the accounts is news to the watchers too.
def test_watchers_tell_each_change_once_and_share_the_poll(cluster, sandbox):
    some_polls(sandbox, 2)
    assert asset_events(cluster, "revor_email_ready") == []
    cluster.trigger("beside_watchers")
    cluster.wait_for_states("beside_watchers", {"deferred": 5})
    cluster.wait_until(lambda: len(cluster.started_triggers("beside_watchers")) == 5, "the triggers to run")
    sandbox.reset_requests()
    began = time.monotonic()
    some_polls(sandbox)
    assert sandbox.request_count <= 1 + (time.monotonic() - began) / INTERVAL

    sandbox.reconnect("acc_email_anna")
    cluster.wait_for_states("example_on_account_ready", {"success": 1})
    cluster.wait_for_states("beside_watchers", {"success": 5})
    some_polls(sandbox)
    (event,) = asset_events(cluster, "revor_email_ready")
    assert '"account_id": "acc_email_anna"' in event["extra"]
    assert cluster.xcoms("example_on_account_ready", "return_value") == {"begin": ["acc_email_anna"]}
    assert asset_events(cluster, "revor_account_blocked") == []

    (triggerer,) = cluster.triggerers
    triggerer.kill()
    cluster.start_triggerer()
    some_polls(sandbox)
    assert len(asset_events(cluster, "revor_email_ready")) == 1

    sandbox.update_account("acc_email_anna", status="credentials", can_send=False)
    cluster.wait_for_states("example_on_account_blocked", {"success": 1})
    some_polls(sandbox)
    (told,) = cluster.xcoms("example_on_account_blocked", "return_value").values()
    assert told == [
        "Account acc_email_anna can no longer send: its credentials must be updated: reconnect it at "
        "https://revor.ai/console/connect (status credentials, lifecycle active)"
    ]
    assert len(asset_events(cluster, "revor_account_blocked")) == 1
    assert len(asset_events(cluster, "revor_email_ready")) == 1


# No other gate or watcher of this interval has looked.
def test_gates_that_join_find_at_once_an_account_that_can_send_already(cluster, sandbox):
    sandbox.reconnect("acc_linkedin_anna")
    for trigger in ("first", "joining"):
        cluster.trigger(trigger)
        cluster.wait_until(lambda name=trigger: len(cluster.started_triggers(name)) == 5, "the triggers to run")
    cluster.wait_for_states("joining", {"success": 5}, timeout=50)
    assert cluster.xcoms("joining", "account_id") == {f"gate_{number}": "acc_linkedin_anna" for number in range(5)}
    # Those that were there before have looked, too, and go on to the end of their time.
    cluster.wait_for_states("first", {"failed": 5})


def test_a_watchers_retry_after_outlasts_a_restart_of_the_triggerer(cluster, sandbox):
    sandbox.fail(429, retry_after=60, times=1)
    some_polls(sandbox, 1)
    cluster.wait_until(
        lambda: cluster.sql("SELECT 1 FROM asset_state_store WHERE key LIKE '%not_before'"), "the watchers to remember"
    )
    limited = [record for record in sandbox.requests if record.status == 429]
    (triggerer,) = cluster.triggerers
    triggerer.kill()
    sandbox.reset_requests()
    cluster.start_triggerer()
    sandbox.wait_for_requests(1, timeout=180)
    again = sandbox.requests[0].received_at - limited[0].received_at
    assert 60 <= again.total_seconds() <= 120


def test_pure_gates_never_touch_a_worker(cluster, sandbox):
    cluster.trigger("pure")
    cluster.wait_for_states("pure", {"deferred": PURE_GATES})
    cluster.wait_until(lambda: len(cluster.started_triggers("pure")) == PURE_GATES, "the triggers to run")
    sandbox.reset_requests()
    began = time.monotonic()
    some_polls(sandbox)
    assert sandbox.request_count <= 1 + (time.monotonic() - began) / INTERVAL

    sandbox.reconnect("acc_email_anna")

    cluster.wait_for_states("pure", {"success": PURE_GATES})
    assert cluster.finished_runs("pure") == 0
    assert cluster.xcoms("pure", "return_value") == cluster.xcoms("pure", "account_id") == {}
    assert "Account acc_email_anna can send on email." in cluster.task_log("pure", "gate_00")
    cluster.wait_until(lambda: not cluster.triggers("pure"), "the triggers to be gone")


def test_a_gate_that_starts_from_the_trigger_hands_its_account_on(cluster, sandbox):
    cluster.trigger("handing_on")
    cluster.wait_for_states("handing_on", {"deferred": 1})
    some_polls(sandbox, 2)
    sandbox.reconnect("acc_email_anna")
    cluster.wait_for_states("handing_on", {"success": 1})
    assert cluster.xcoms("handing_on", "account_id") == {"gate": "acc_email_anna"}
    assert cluster.xcoms("handing_on", "return_value")["gate"]["account_id"] == "acc_email_anna"
    assert cluster.finished_runs("handing_on") == 0


def test_an_account_that_renders_to_nothing_fails_at_once(cluster, sandbox):
    sandbox.reconnect_all()
    cluster.trigger("unnamed")
    cluster.wait_for_states("unnamed", {"failed": 1})
    assert cluster.tasks("unnamed")["gate"]["try_number"] == 1
    assert "it must name an account" in cluster.task_log("unnamed", "gate")


def test_a_mapped_gate_defers_from_the_worker_and_says_so(cluster, sandbox):
    cluster.trigger("mapped")
    cluster.wait_until(lambda: cluster.states("mapped") in ({"deferred": 1}, {"deferred": 2}), "deferral")
    some_polls(sandbox, 2)
    sandbox.reconnect_all()
    cluster.wait_until(lambda: set(cluster.states("mapped")) == {"success"}, "success")
    rows = cluster.sql("SELECT value, map_index FROM xcom WHERE dag_id = 'mapped' AND key = 'account_id' ORDER BY 2")
    assert [row["value"] for row in rows] == ['"acc_email_anna"', '"acc_linkedin_anna"']
    assert cluster.task_log("mapped", "gate").count("This gate cannot start from the trigger") == 2


def test_a_deadline_counts_from_the_start(cluster, sandbox):
    cluster.trigger("too_late")
    cluster.wait_for_states("too_late", {"failed": 1, "skipped": 1})
    assert {name: task["state"] for name, task in cluster.tasks("too_late").items()} == {
        "gate": "failed",
        "soft": "skipped",
    }
    assert "No email account could send within 5 s on connection" in cluster.task_log("too_late", "gate")


def test_gates_that_join_just_before_a_poll_are_not_taken_for_killed(cluster, sandbox):
    cluster.trigger("early")
    cluster.wait_for_states("early", {"deferred": 1})
    some_polls(sandbox, 1)
    cluster.trigger("late")
    cluster.wait_for_states("late", {"deferred": LATE_GATES})
    sandbox.reconnect("acc_email_anna")
    cluster.wait_for_states("late", {"success": LATE_GATES})
    assert {task["try_number"] for task in cluster.tasks("late").values()} == {1}
