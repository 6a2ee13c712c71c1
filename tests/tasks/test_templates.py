"""What can be said of an argument when the Dag is parsed, and what only when the task runs."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import DAG
from outreach_tasks import dispatch

from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.cancel import CancelOutreachJobOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor


def batch(**switch):
    return OutreachBatchOperator(task_id="batch", messages=[], **switch)


def gate(**switch):
    return SendableAccountSensor(task_id="gate", **switch)


def job(**switch):
    return OutreachJobSensor(task_id="job", job_id="job_1", **switch)


def cancel(**switch):
    return CancelOutreachJobOperator(task_id="cancel", job_id="job_1", **switch)


SWITCHES = [
    (batch, "preview"),
    (batch, "wait_for_completion"),
    (batch, "cancel_on_kill"),
    (dispatch, "deferrable"),
    (dispatch, "end_on_worker"),
    (gate, "deferrable"),
    (gate, "start_from_trigger"),
    (gate, "end_on_worker"),
    (job, "deferrable"),
    (cancel, "must_cancel"),
]


@pytest.mark.parametrize(("make", "name"), SWITCHES)
def test_what_switches_something_on_is_true_or_false_and_nothing_that_python_takes_for_true(make, name):
    for value in (True, False, None):
        assert make(**{name: value})
    for value in ("False", "{{ params.on }}", DAG("d", schedule=None, params={"on": False}).param("on")):
        with pytest.raises(RevorValueError, match=rf"^{name}.*: use True or False"):
            make(**{name: value})
