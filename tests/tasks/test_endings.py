"""Which deferred tasks end in the triggerer: a table, by Airflow's own operators and Dags."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_revor.sensors.base import WaitingSensor
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.tasks import endings
from airflow_provider_revor.tasks.endings import declares_work, ends_in_triggerer, is_customised, settings_add_work
from airflow_provider_revor.version_compat import START_FROM_TRIGGER

pytestmark = pytest.mark.skipif(not START_FROM_TRIGGER, reason="tasks end in the triggerer on Airflow 3.3+")


class Completes(SendableAccountSensor):
    def execute_complete(self, context, event):
        return "mine"


class Resumes(SendableAccountSensor):
    def resume_execution(self, next_method, next_kwargs, context):
        return "mine"


class Prepares(SendableAccountSensor):
    def pre_execute(self, context):
        """Mine."""


class CleansUp(SendableAccountSensor):
    def post_execute(self, context, result=None):
        """Mine."""


class Renders(SendableAccountSensor):
    overwrite_rtif_after_execution = True


class Named(SendableAccountSensor):
    """A class of the Dag author's that changes nothing of the end."""

    ui_color = "#fff"


def note(*_):
    """A callback."""


def linked(*, beside_ours=False):
    from airflow.sdk import BaseOperatorLink

    class Link(BaseOperatorLink):
        name = "Revor"

        def get_link(self, operator, *, ti_key):
            return "https://revor.ai"

    class Linked(SendableAccountSensor):
        operator_extra_links = (*(SendableAccountSensor.operator_extra_links if beside_ours else ()), Link())

    return Linked(task_id="gate")


def asset():
    from airflow.sdk import Asset

    return Asset("mail_is_ready")


def of(cls=SendableAccountSensor, **kwargs):
    return cls(task_id="gate", **kwargs)


def result_of_its_dag():
    task = of()
    task.returns_dag_result = True
    return task


def patched():
    task = of()
    task.post_execute = note
    return task


@pytest.mark.parametrize(
    ("make", "ends"),
    [
        pytest.param(of, True, id="plain"),
        pytest.param(lambda: of(do_xcom_push=False), True, id="pure"),
        pytest.param(lambda: of(Named), True, id="subclass"),
        pytest.param(lambda: of(on_failure_callback=note, on_retry_callback=note), True, id="failure-callbacks"),
        pytest.param(lambda: of(on_skipped_callback=note), True, id="skipped-callback"),
        pytest.param(lambda: of(on_success_callback=note), False, id="success-callback"),
        pytest.param(lambda: of(on_execute_callback=[note]), False, id="execute-callback"),
        pytest.param(lambda: of(pre_execute=note), False, id="pre-execute-hook"),
        pytest.param(lambda: of(post_execute=note), False, id="post-execute-hook"),
        pytest.param(lambda: of(Prepares), False, id="pre-execute-override"),
        pytest.param(lambda: of(CleansUp), False, id="post-execute-override"),
        pytest.param(patched, False, id="post-execute-patched"),
        pytest.param(lambda: of(Completes), False, id="execute-complete-override"),
        pytest.param(lambda: of(Resumes), False, id="resume-override"),
        pytest.param(lambda: of(Renders), False, id="rendered-again"),
        pytest.param(lambda: of(outlets=[asset()]), False, id="outlets"),
        pytest.param(lambda: of(inlets=[asset()]), False, id="inlets"),
        pytest.param(lambda: of(multiple_outputs=True), False, id="multiple-outputs"),
        pytest.param(lambda: of(map_index_template="{{ task.account_id }}"), False, id="map-index-template"),
        pytest.param(linked, False, id="a-link-of-the-authors"),
        pytest.param(lambda: linked(beside_ours=True), False, id="a-link-beside-ours"),
        pytest.param(result_of_its_dag, False, id="result-of-the-dag"),
    ],
)
def test_a_task_ends_in_the_triggerer_unless_a_worker_has_more_to_do(make, ends):
    assert ends_in_triggerer(make(), WaitingSensor) is ends


class Takes(BaseOperator):
    def __init__(self, *, item, **kwargs):
        super().__init__(**kwargs)
        self.item = item


def dags_gate(*, mapped=False, over=False):
    with DAG("d", schedule=None) as dag:
        gate = SendableAccountSensor.partial(task_id="gate").expand(channel=["email"]) if mapped else of()
        if over:
            Takes.partial(task_id="then").expand(item=gate.output)
        else:
            Takes(task_id="then", item=gate.output)
    return dag, gate.unmap({"channel": "email"}) if mapped else gate


@pytest.mark.parametrize(
    ("kwargs", "ends"),
    [
        pytest.param({}, True, id="read"),
        pytest.param({"over": True}, False, id="mapped-over"),
        pytest.param({"mapped": True}, True, id="mapped"),
        # Airflow counts its instances, not its values.
        pytest.param({"mapped": True, "over": True}, True, id="mapped-and-mapped-over"),
    ],
)
def test_a_return_value_that_tasks_map_over_is_pushed_by_a_worker(kwargs, ends):
    _, gate = dags_gate(**kwargs)
    assert ends_in_triggerer(gate, WaitingSensor) is ends


@pytest.mark.parametrize(
    "declared",
    [
        "on_success_callback",
        "on_execute_callback",
        "outlets",
        "inlets",
        "multiple_outputs",
        "map_index_template",
        "mapped-over",
    ],
)
def test_what_a_task_declares_is_seen_in_the_triggerer_too(declared):
    from airflow.serialization.serialized_objects import DagSerialization

    values = {"multiple_outputs": True, "map_index_template": "x", "outlets": [asset()], "inlets": [asset()]}
    dag, gate = dags_gate(over=declared == "mapped-over")

    def in_the_triggerer():
        return DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("gate")

    if declared != "mapped-over":
        assert not declares_work(in_the_triggerer())
        setattr(gate, declared, values.get(declared, [note]))
    assert declares_work(in_the_triggerer())


def test_a_listener_for_tasks_needs_a_worker_and_one_for_dag_runs_does_not():
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    class ForRuns:
        @hookimpl
        def on_dag_run_success(self, dag_run, msg):
            """Whatever."""

    class ForTasks:
        @hookimpl
        def on_task_instance_success(self, previous_state, task_instance):
            """Whatever."""

    manager = get_listener_manager()
    for listener, needed in ((ForRuns(), False), (ForTasks(), True)):
        manager.add_listener(listener)
        try:
            assert settings_add_work() is needed
            assert ends_in_triggerer(of(), WaitingSensor) is not needed
        finally:
            manager.pm.unregister(listener)


def test_an_xcom_backend_of_ones_own_and_a_state_that_is_cleared_need_a_worker(monkeypatch):
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time import xcom

    assert not settings_add_work()
    with monkeypatch.context() as patch:
        patch.setattr(xcom, "XCom", type("Blocking", (BaseXCom,), {}))
        assert settings_add_work()
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "True")
    assert settings_add_work()


def test_older_airflows_end_every_task_on_a_worker(monkeypatch):
    monkeypatch.setattr(endings, "START_FROM_TRIGGER", False)
    assert not ends_in_triggerer(of(), WaitingSensor)
    assert not is_customised(of(), WaitingSensor)
