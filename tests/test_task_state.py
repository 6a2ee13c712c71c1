"""What Airflow says of the state of a task, by which it is decided whether a person has ended it."""

from __future__ import annotations

import pytest

from airflow_provider_revor.rules.kills import Place

DAG_FILE = """
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_revor.version_compat import ASSET_WATCHERS

# `dag.test()` of Airflow 2 does not mark a task as running.
RUNNING = "running" if ASSET_WATCHERS else "scheduled"

with DAG("asks_for_its_state", schedule=None) as the_dag:

    @task
    def ask(name, **context):
        from airflow_provider_revor.triggers.xcoms import TaskXComs
        from airflow_provider_revor.version_compat import task_state

        return task_state(**TaskXComs.of(context).as_dict())

    @task
    def nobody(**context):
        from airflow_provider_revor.version_compat import task_state

        try:
            task_state("asks_for_its_state", context["ti"].run_id, "no_such_task", -1)
        except LookupError:
            return "none"

    @task
    def check(states, missing):
        assert [*states, missing] == [RUNNING, RUNNING, "none"], [*states, missing]

    check(ask.expand(name=["one", "two"]), nobody())
"""


def test_a_task_that_runs_is_running_mapped_or_not(dag_file):
    dag = dag_file("asks_for_its_state", DAG_FILE).the_dag
    assert str(dag.test().state) == "success"


@pytest.mark.parametrize(
    ("state", "on_a_worker", "in_the_triggerer"),
    [
        ("failed", True, True),
        ("restarting", True, False),
        (None, False, True),
        ("scheduled", False, True),
        ("queued", False, True),
        ("running", False, False),
        ("deferred", False, False),
        ("success", False, False),
        ("skipped", False, False),
        ("up_for_retry", False, False),
        ("upstream_failed", False, False),
        ("removed", False, False),
    ],
)
def test_which_states_mean_that_a_person_has_ended_it(state, on_a_worker, in_the_triggerer):
    assert Place.WORKER.ended_by_a_person(state) is on_a_worker
    assert Place.TRIGGERER.ended_by_a_person(state) is in_the_triggerer
