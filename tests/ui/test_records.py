"""What the page takes from Airflow's database, where that is not as it should be."""

from __future__ import annotations

import json
from unittest.mock import MagicMock

import pytest

from airflow_provider_revor.version_compat import UI_PLUGINS

pytestmark = pytest.mark.skipif(not UI_PLUGINS, reason="pages of plugins are of Airflow 3.1+")


def test_a_gate_whose_trigger_cannot_be_decrypted_hides_no_other():
    from airflow.models.trigger import Trigger

    from airflow_provider_revor.ui.records import waiting_gates

    good = Trigger(classpath="t", kwargs={"revor_conn_id": "c", "channel": "email"})
    bad = Trigger(classpath="t", kwargs={})
    bad.encrypted_kwargs = "encrypted with a key that is gone"
    ti = MagicMock(dag_id="d", run_id="r", task_id="gate", map_index=-1, state="deferred")
    session = MagicMock()
    session.execute.return_value = [(ti, bad, None), (ti, good, None)]
    assert [gate["channel"] for gate in waiting_gates(session, ["d"], ["c"])] == [None, "email"]


def test_the_reschedules_of_other_tasks_are_not_read():
    from airflow_provider_revor.ui.records import waiting_gates

    session = MagicMock()
    session.execute.return_value = []
    waiting_gates(session, ["d"], ["c"])
    asked = str(session.execute.call_args.args[0])
    assert "WHERE task_reschedule.ti_id = task_instance.id" in asked
    assert "GROUP BY" not in asked


JOB = {"id": "job_1", "status": "succeeded", "channel": "email", "result": {"account_id": "acc_1"}}


@pytest.mark.parametrize(
    ("pushed", "state", "outcome"),
    [
        pytest.param(JOB, "success", ("sent", "acc_1"), id="sent"),
        pytest.param({**JOB, "status": "failed", "result": None}, "failed", ("failed", "acc_field"), id="failed"),
        pytest.param({**JOB, "status": "queued", "result": None}, "success", ("accepted", "acc_field"), id="accepted"),
        pytest.param(
            {"job_id": None, "status": "skipped", "account_id": "acc_2"}, "skipped", ("skipped", "acc_2"), id="skipped"
        ),
        pytest.param(None, "failed", ("failed", "acc_field"), id="no-xcom"),
        pytest.param(None, "skipped", None, id="skipped-by-airflow"),
        pytest.param("no JSON", "success", None, id="of-somebody-else"),
        pytest.param([1], "success", None, id="a-list"),
    ],
)
def test_a_task_that_sends_one_message_counts_by_what_it_left(pushed, state, outcome):
    from airflow_provider_revor.ui.records import single_row

    stored = pushed if isinstance(pushed, str) or pushed is None else json.dumps(pushed)
    row = single_row(stored, state, {"account_id": "acc_field"})
    assert (row and (row.outcome, row.account_id)) == outcome
