"""What can be said of an argument when the Dag is parsed, and what only when the task runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from airflow.providers.common.compat.sdk import DAG, BaseOperator
from outreach_tasks import dispatch

from airflow_provider_revor.exceptions import RevorValueError
from airflow_provider_revor.operators.batch import OutreachBatchOperator
from airflow_provider_revor.operators.cancel import CancelOutreachJobOperator
from airflow_provider_revor.operators.connect import ListConnectAccountsOperator
from airflow_provider_revor.sensors.connect import SendableAccountSensor
from airflow_provider_revor.sensors.outreach import OutreachJobSensor


def batch(**switch):
    return OutreachBatchOperator(task_id="batch", messages=[], **switch)


def gate(**switch):
    return SendableAccountSensor(task_id="gate", **switch)


def job(**switch):
    return OutreachJobSensor(task_id="job", **{"job_id": "job_1", **switch})


def cancel(**switch):
    return CancelOutreachJobOperator(task_id="cancel", **{"job_id": "job_1", **switch})


def listing(**filters):
    return ListConnectAccountsOperator(task_id="list", **filters)


@dataclass
class Lead:
    address: str = "dana@example.com"


# What no template and no other task stands behind.
WRONG = [
    (dispatch, {"recipient": Lead()}, "recipient must be an object"),
    (dispatch, {"account_id": uuid4()}, "account_id must be text, not UUID"),
    (dispatch, {"content": {"subject": "Hello", "html": Path("mail.html")}}, r"html must be text, not PosixPath"),
    (dispatch, {"min_channel_task_interval_seconds": timedelta(minutes=3)}, "use whole seconds"),
    (dispatch, {"min_channel_task_interval_seconds": (timedelta(minutes=3), 360)}, "use whole seconds"),
    (dispatch, {"exclude": 5}, "exclude must be a list, not int"),
    (batch, {"exclude": {"address": "dana@example.com"}}, "exclude must be a list, not dict"),
    (batch, {"exclude": (address for address in ["dana@example.com"])}, "exclude must be a list, not generator"),
    (listing, {"channel": ["email"]}, "is no Revor channel"),
    (listing, {"sendable": ["email"]}, "sendable=.* is neither true nor false"),
    (gate, {"channel": ["email", "linkedin"]}, "is no Revor channel"),
    (gate, {"account_id": ["acc_1", "acc_2"]}, "account_id must be text, not list"),
    (gate, {"account_id": {"account_id": "acc_1"}}, "not a whole account"),
    (gate, {"pick": "sticky", "sticky_key": ["crm-1"]}, "sticky key is of the type list"),
    (job, {"job_id": {"id": "job_1"}}, "job_id must be one id"),
    (cancel, {"job_id": ["job_1"]}, "job_id must be one id"),
]
# What Airflow makes the argument of when the task runs.
LATE = [
    pytest.param(lambda dag: "{{ params.on }}", id="template"),
    pytest.param(lambda dag: dag.param("on"), id="param"),
    pytest.param(lambda dag: BaseOperator(task_id="before", dag=dag).output, id="output"),
    pytest.param(lambda dag: BaseOperator(task_id="before", dag=dag).output.map(str), id="map"),
    pytest.param(lambda dag: lambda context, jinja_env: "rendered", id="callable"),
]

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


@pytest.mark.parametrize(("make", "argument", "said"), WRONG)
def test_what_can_never_be_right_fails_when_the_dag_is_parsed(make, argument, said):
    with pytest.raises(RevorValueError, match=said):
        make(**argument)


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize(("make", "argument", "said"), WRONG)
def test_what_is_known_only_when_the_task_runs_is_taken_for_good(make, argument, said, late):
    value = late(DAG("d", schedule=None, params={"on": False}))
    name = next(name for name in reversed(argument))
    if name == "content":
        value = {"subject": value, "html": value}
    assert make(**{**argument, name: value})
