"""The example Dags, run by ``dag.test()`` in real Airflow against the sandbox over a real socket."""

from __future__ import annotations

import importlib
import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from project import EXAMPLES, ROOT

from airflow_provider_revor.selection import pick_account
from airflow_provider_revor.version_compat import ASSET_WATCHERS

pytestmark = pytest.mark.usefixtures("airflow_db")


@pytest.fixture
def load(monkeypatch):
    """Return a function that makes an example's Dag anew."""
    monkeypatch.syspath_prepend(str(ROOT / "example_dags"))
    return lambda name: getattr(importlib.import_module(name), name)()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_newcomer_can_read_the_graph(monkeypatch, path):
    """Each Dag and each task has a name in words, and says what it does."""
    monkeypatch.syspath_prepend(str(path.parent))
    try:
        module = importlib.import_module(path.stem)
    except (ImportError, AirflowException) as e:
        pytest.skip(f"this Airflow cannot load it: {e}")
    dags = [make() for name, make in vars(module).items() if name.startswith("example_") and callable(make)]
    assert dags
    explained = [(dag.dag_id, dag.dag_display_name, dag.doc_md) for dag in dags]
    explained += [(task.task_id, task.task_display_name, task.doc_md) for dag in dags for task in dag.tasks]
    assert [name for name, shown, doc in explained if shown == name or not doc] == []
    assert all(shown.startswith("Revor: ") for _, shown, _ in explained[: len(dags)])


def run(dag):
    dag_run = dag.test()
    states = {ti.task_id: str(ti.state) for ti in dag_run.get_task_instances()}
    return str(dag_run.state), states


@pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])
def test_the_gate_waits_and_hands_the_account_on(load, revor_sandbox, capfd, mode):
    dag = load("example_account_gate")
    gate = dag.get_task("gate")
    gate.deferrable = mode == "deferrable"
    gate.mode = "reschedule" if mode == "reschedule" else "poke"
    gate.poke_interval = 1.0
    (account_id,) = [
        a["account_id"] for a in revor_sandbox.accounts if a["channel"] == "email" and a["status"] == "credentials"
    ]

    def reconnect():
        # After the list and the gate's first look. Not later: `dag.test()` of Airflow 3.0 fails any sensor that
        # is rescheduled twice.
        revor_sandbox.wait_for_requests(2, timeout=120)
        revor_sandbox.reconnect(account_id)

    with ThreadPoolExecutor(1) as person:
        person.submit(reconnect)
        assert run(dag) == ("success", {"accounts": "success", "gate": "success", "use": "success"})

    out = "".join(capfd.readouterr())
    assert f"Account {account_id} can send: this is where the outreach begins." in out
    assert "reconnect it at https://revor.ai/console/connect" in out
    assert revor_sandbox.request_count == 3
    assert all(record.status == 200 for record in revor_sandbox.requests)


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_a_gate_tells_people_that_it_waits_and_goes_on(load, airflow_db, revor_sandbox, capfd, monkeypatch, mode):
    dag = load("example_gate_tells_people")
    gate = dag.get_task("gate")
    gate.deferrable = mode == "deferrable"
    gate.poke_interval = 1.0
    gate.notify_after = 2.0
    told = []

    def tell(context):
        gate_tells(context)
        told.append(context["revor_wait"])
        for account in revor_sandbox.accounts:
            revor_sandbox.reconnect(account["account_id"])

    gate_tells, gate.on_waiting_callback = gate.on_waiting_callback, tell
    state, states = run(dag)
    assert (state, states) == ("success", {"gate": "success", "use": "success"})
    assert len(told) == 1
    assert "acc_email_anna: its credentials must be updated" in told[0]["message"]
    assert "After 2 seconds:\nNo email account can send yet." in capfd.readouterr().out


def test_the_list_is_expanded_over(load, revor_sandbox, capfd):
    dag = load("example_list_accounts")
    for account in revor_sandbox.accounts:
        if account["status"] == "credentials":
            revor_sandbox.reconnect(account["account_id"])
    sendable = [a["account_id"] for a in revor_sandbox.accounts if a["can_send"]]
    assert len(sendable) >= 2
    # Its can_send is true, but it is not available now.
    blocked = sendable.pop()
    revor_sandbox.update_account(blocked, status="error", can_send=True)

    state, states = run(dag)

    assert (state, states["accounts"]) == ("success", "success")
    out = "".join(capfd.readouterr())
    for account_id in sendable:
        assert f"{account_id} sends on" in out
    assert f"{blocked} sends on" not in out


def test_a_revoked_key_fails_the_gate_at_once(load, revor_sandbox):
    dag = load("example_account_gate")
    gate = dag.get_task("gate")
    gate.poke_interval = 1.0
    gate.retries = 3

    def revoke():
        revor_sandbox.wait_for_requests(3, timeout=120)
        revor_sandbox.revoke_key()

    with ThreadPoolExecutor(1) as person:
        person.submit(revoke)
        state, states = run(dag)

    assert state == "failed"
    # Not up for a retry, though it has three.
    assert states == {"accounts": "success", "gate": "failed", "use": "upstream_failed"}
    assert [r.status for r in revor_sandbox.requests].count(401) == 1


def quickly(task):
    """Have a mapped task look again soon, on a worker or in a trigger."""
    task.partial_kwargs["poke_interval"] = 0.1
    return task


def test_the_pipeline_writes_to_each_lead_once_from_its_own_account(load, revor_sandbox, capfd):
    revor_sandbox.set_accounts([{"account_id": f"acc_{n}", "channel": "email"} for n in range(3)])
    dag = load("example_outreach_pipeline")
    quickly(dag.get_task("send"))

    state, states = run(dag)

    assert (state, states["verdict"]) == ("success", "success")
    sent = {entry.recipient["address"]: entry for entry in revor_sandbox.outbox}
    # In which order is up to Airflow.
    assert len(revor_sandbox.outbox) == len(sent) == 3
    for lead, person in enumerate(["ada", "grace", "edsger"], start=1):
        entry = sent[f"{person}@example.com"]
        assert entry.account_id == pick_account(revor_sandbox.accounts, "sticky", key=lead)["account_id"]
        assert 180 <= entry.min_channel_task_interval_seconds <= 360
    assert "Sent: 3. Failed: 0." in "".join(capfd.readouterr())


def test_a_run_in_which_messages_failed_is_no_success(load, revor_sandbox, monkeypatch):
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "email"}])
    dag = load("example_outreach_pipeline")
    quickly(dag.get_task("send"))
    for allowed, failing, state in ((0, 1, "failed"), (1, 1, "success"), (3, 3, "failed")):
        monkeypatch.setattr("example_outreach_pipeline.MAX_FAILED", allowed)
        revor_sandbox.reset_jobs()
        revor_sandbox.script_jobs("failed", times=failing)
        assert run(dag)[0] == state, (allowed, failing)
        assert len(revor_sandbox.outbox) == 3 - failing


def test_a_run_without_a_sender_is_no_success(load, revor_sandbox):
    revor_sandbox.set_accounts([])
    dag = load("example_outreach_pipeline")
    dag.get_task("gate").timeout = 0
    state, states = run(dag)
    assert (state, states["gate"], states["verdict"]) == ("failed", "failed", "failed")


def test_the_warmup_likes_then_invites(load, revor_sandbox, capfd):
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "linkedin"}])
    revor_sandbox.script_jobs("skipped", recipient="https://www.linkedin.com/in/ada-example")
    dag = load("example_post_like_warmup")
    quickly(dag.get_task("like"))
    quickly(dag.get_task("invite"))

    assert run(dag)[0] == "success"

    first, *others = [(entry.action, entry.recipient["profile_url"]) for entry in revor_sandbox.outbox]
    assert first == ("outreach.linkedin.post_like", "https://www.linkedin.com/in/grace-example")
    assert sorted(others) == [
        ("outreach.dispatch", "https://www.linkedin.com/in/ada-example"),
        ("outreach.dispatch", "https://www.linkedin.com/in/grace-example"),
    ]
    out = "".join(capfd.readouterr())
    assert "2 messages: 1 sent, 1 skipped, 0 failed. By code: 1 no_relevant_post" in out
    assert "2 messages: 2 sent, 0 skipped, 0 failed." in out


def test_a_warmup_in_which_no_post_could_be_liked_is_no_success_and_invites_all_the_same(load, revor_sandbox):
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "linkedin"}])
    dag = load("example_post_like_warmup")
    quickly(dag.get_task("like"))
    quickly(dag.get_task("invite"))
    revor_sandbox.script_jobs("failed", times=2)
    state, states = run(dag)
    assert (state, states["liked"], states["invited"]) == ("failed", "failed", "success")
    assert [entry.action for entry in revor_sandbox.outbox] == ["outreach.dispatch"] * 2


def test_a_warmup_in_which_an_invitation_failed_is_no_success(load, revor_sandbox):
    revor_sandbox.set_accounts([{"account_id": "acc_1", "channel": "linkedin"}])
    dag = load("example_post_like_warmup")
    quickly(dag.get_task("like"))
    quickly(dag.get_task("invite"))
    revor_sandbox.script_jobs(times=2)
    revor_sandbox.script_jobs("failed")
    assert run(dag)[0] == "failed"


def test_the_batch_writes_to_everyone_in_one_task(load, revor_sandbox, capfd):
    revor_sandbox.set_accounts([{"account_id": f"acc_{n}", "channel": "email"} for n in range(3)])
    dag = load("example_outreach_batch")
    send = dag.get_task("send")
    send.poke_interval, send.max_requests_per_minute = 0.1, 6000

    assert run(dag) == ("success", {"accounts": "success", "compose": "success", "send": "success"})

    assert len({entry.recipient["address"] for entry in revor_sandbox.outbox}) == len(revor_sandbox.outbox) == 20
    assert len({entry.account_id for entry in revor_sandbox.outbox}) == 3
    assert "20 messages: 20 sent, 0 skipped, 0 failed." in "".join(capfd.readouterr())


def test_what_a_person_approves_is_sent(load, revor_sandbox, monkeypatch):
    try:
        hitl = importlib.import_module("airflow.providers.standard.operators.hitl")
    # 3.0 has the module, which then says that it is not for it.
    except (ImportError, AirflowException):
        pytest.skip("approvals are of Airflow 3.1+")
    asked = []
    monkeypatch.setattr(
        hitl.ApprovalOperator, "execute", lambda operator, context: asked.append((operator.subject, operator.body))
    )
    revor_sandbox.set_accounts([{"account_id": f"acc_{name}", "channel": name} for name in ("email", "linkedin")])
    dag = load("example_outreach_with_approval")
    send = dag.get_task("send")
    send.poke_interval, send.max_requests_per_minute = 0.1, 6000

    assert run(dag)[0] == "success"

    ((subject, body),) = asked
    assert subject == "Send 2 messages?"
    shown = body.removeprefix("```json\n").removesuffix("\n```")
    assert json.loads(shown)["by_account"] == {"acc_email": 1, "acc_linkedin": 1}
    assert {entry.channel: entry.recipient.get("name") for entry in revor_sandbox.outbox} == {
        "email": "Ada",
        "linkedin": "Grace",
    }


@pytest.mark.skipif(not ASSET_WATCHERS, reason="assets have watchers from Airflow 3.0 on")
def test_the_watchers_are_part_of_their_dags(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "example_dags"))
    module = importlib.import_module("example_on_account_ready")
    dags = [module.example_on_account_ready(), module.example_on_account_blocked()]
    assert [dag.task_ids for dag in dags] == [["begin"], ["tell"]]
    assert module.email_ready.watchers[0].trigger.becomes == "sendable"
    assert module.account_blocked.watchers[0].trigger.becomes == "blocked"


def event(account_id, **payload):
    return SimpleNamespace(extra={"payload": {"account_id": account_id, **payload}})


class EventsOf:
    """The events of one asset; no dict, because assets of Airflow 3.0 are not hashable."""

    def __init__(self, asset, events):
        self._asset, self._events = asset, list(events)

    def __getitem__(self, asset):
        assert asset == self._asset
        return self._events


# Airflow up to 3.3, or with `[scheduler] batch_asset_events`: all events since the latest run. Else: one.
@pytest.mark.skipif(not ASSET_WATCHERS, reason="assets have watchers from Airflow 3.0 on")
@pytest.mark.parametrize(
    ("runs", "begun"),
    [
        pytest.param([["acc_1"], ["acc_2"], ["acc_1"]], [["acc_1"], ["acc_2"], ["acc_1"]], id="a-run-per-event"),
        pytest.param([["acc_1", "acc_2", "acc_1"]], [["acc_1", "acc_2"]], id="a-run-per-batch"),
    ],
)
def test_outreach_begins_from_each_account_that_became_ready(monkeypatch, capsys, runs, begun):
    monkeypatch.syspath_prepend(str(ROOT / "example_dags"))
    module = importlib.import_module("example_on_account_ready")
    begin = module.example_on_account_ready().get_task("begin").python_callable
    blocked = module.example_on_account_blocked().get_task("tell").python_callable
    assert [begin(EventsOf(module.email_ready, map(event, events))) for events in runs] == begun
    assert capsys.readouterr().out.count(" can send: this is where the outreach begins.") == sum(map(len, begun))
    for events in runs:
        told = blocked(EventsOf(module.account_blocked, (event(name, blocked_reason="so it is") for name in events)))
        assert told == [f"Account {name} can no longer send: so it is" for name in events]
