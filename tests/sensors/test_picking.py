"""Which account a gate takes when several can send."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred
from factories import item, listing

from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.selection import pick_account, sticky_digest
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.triggers.connect import SendableAccountTrigger
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

URL = "https://revor.ai/api/v1/connect/accounts"
LEAD = "lead@example.net"
FIVE = [item(account_id=f"acc_{n}") for n in range(1, 6)]
SHUT = listing(*({**one, "can_send": False} for one in FIVE))


@pytest.fixture
def context(connect):
    connect()
    return {"ti": SimpleNamespace(xcom_push=lambda key, value: None)}


def gate(**kwargs):
    return SendableAccountSensor(task_id="gate", **{"deferrable": False, "timeout": 600, **kwargs})


def test_sticky_takes_what_a_task_of_the_dag_would_take(context, requests_mock):
    requests_mock.get(URL, json=listing(*FIVE))
    for lead in ("lead-1", 2, "3", LEAD):
        assert gate(pick="sticky", sticky_key=lead).execute(context) == pick_account(FIVE, "sticky", lead)


def test_sticky_stays_within_the_channel(context, requests_mock):
    others = [item(account_id=f"acc_{n}", channel="linkedin") for n in range(6, 99)]
    requests_mock.get(URL, json=listing(*others, *FIVE))
    assert gate(channel="email", pick="sticky", sticky_key=1).execute(context) == pick_account(FIVE, "sticky", 1)


def test_random_takes_any(context, requests_mock, monkeypatch):
    requests_mock.get(URL, json=listing(*FIVE, item(account_id="acc_6", can_send=False)))
    monkeypatch.setattr("random.choice", lambda sendable: sendable[-1])
    assert gate(pick="random").execute(context)["account_id"] == "acc_5"


def test_the_key_is_rendered(context, requests_mock):
    requests_mock.get(URL, json=listing(*FIVE))
    sensor = gate(pick="sticky", sticky_key="{{ params.lead }}")
    sensor.render_template_fields({"params": {"lead": 12}})
    assert sensor.execute(context) == pick_account(FIVE, "sticky", 12)
    assert pick_account(FIVE, "sticky", 12) != FIVE[0]


@pytest.mark.parametrize("rendered", ["", "None", None])
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_key_that_renders_to_nothing_is_an_error(context, requests_mock, rendered, deferrable):
    sensor = gate(pick="sticky", sticky_key="{{ params.lead }}", deferrable=deferrable)
    sensor.sticky_key = rendered
    with pytest.raises(RevorValueError, match="must say who"):
        sensor.execute(context)
    assert requests_mock.call_count == 0


@pytest.mark.parametrize(
    ("kwargs", "why"),
    [
        ({"pick": "best"}, "use one of first, random, sticky"),
        ({"pick": "{{ params.pick }}"}, "use one of first, random, sticky"),
        ({"pick": "sticky"}, "must say who"),
        ({"pick": "sticky", "sticky_key": ""}, "must say who"),
        ({"pick": "sticky", "sticky_key": True}, "of the type bool"),
        ({"sticky_key": "x"}, "no use in picking 'first'"),
        ({"pick": "random", "sticky_key": "{{ params.lead }}"}, "no use in picking 'random'"),
    ],
)
def test_what_cannot_be_used_fails_when_the_dag_is_parsed(kwargs, why):
    with pytest.raises(ValueError, match=why):
        gate(**kwargs)


# -- deferring -------------------------------------------------------------------------------------------


def test_a_gate_that_a_worker_defers_hands_on_no_key(context, requests_mock, caplog, monkeypatch):
    requests_mock.get(URL, json=SHUT)
    monkeypatch.setattr(SendableAccountSensor, "log", logging.getLogger("gate"))
    with caplog.at_level(logging.DEBUG), pytest.raises(TaskDeferred) as deferred:
        gate(pick="sticky", sticky_key=LEAD, deferrable=True).execute(context)
    trigger = deferred.value.trigger
    _, kwargs = trigger.serialize()
    assert (kwargs["pick"], kwargs["sticky_key"]) == ("sticky", None)
    assert kwargs["sticky_digest"] == sticky_digest("sticky", LEAD)
    assert LEAD not in f"{json.dumps(kwargs)}{trigger!r}{caplog.text}"


@pytest.mark.skipif(not START_FROM_TRIGGER, reason="a gate starts from the trigger on Airflow 3.3+")
@pytest.mark.parametrize("key", ["{{ params.lead }}", 7])
def test_a_gate_that_starts_from_the_trigger_hands_on_the_template(key):
    arguments = gate(start_from_trigger=True, pick="sticky", sticky_key=key).start_trigger_args
    trigger = SendableAccountTrigger(**arguments.trigger_kwargs)
    assert (trigger.pick, trigger.sticky_key, trigger.sticky_digest) == ("sticky", key, None)


def test_a_key_that_is_the_output_of_a_task_cannot_start_from_the_trigger():
    with DAG("d", schedule=None):
        key = gate(channel="email").output["account_id"]
        sensor = SendableAccountSensor(task_id="that", start_from_trigger=True, pick="sticky", sticky_key=key)
    assert not sensor.start_from_trigger
    assert sensor.deferrable
    assert sensor.upstream_task_ids == {"gate"}


# -- mapped ----------------------------------------------------------------------------------------------

MAPPED = """
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_revor.sensors.connect import SendableAccountSensor

with DAG("picking", schedule=None) as dag:

    @task
    def leads():
        return ["lead-1", 12, "ada@example.com"]

    @task
    def tell(found):
        print("picked:", *(account["account_id"] for account in found))

    gate = SendableAccountSensor.partial(task_id="gate", pick="sticky", deferrable={deferrable}, poke_interval=1)
    tell(gate.expand(sticky_key=leads()).output)
"""


@pytest.mark.parametrize("deferrable", [False, True])
def test_mapped_gates_take_an_account_for_each_key(dag_file, revor_sandbox, capfd, deferrable):
    revor_sandbox.set_accounts(SHUT["items"])
    dag = dag_file(f"picking_{deferrable}".lower(), MAPPED.format(deferrable=deferrable)).dag

    def open_the_gates():
        revor_sandbox.wait_for_requests(1, timeout=120)
        revor_sandbox.set_accounts(FIVE)

    with ThreadPoolExecutor(1) as person:
        person.submit(open_the_gates)
        assert str(dag.test().state) == "success"
    out = "".join(capfd.readouterr())
    assert "picked: acc_5 acc_4 acc_2" in out
