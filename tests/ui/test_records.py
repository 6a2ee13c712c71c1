"""What the page takes from Airflow's database, where that is not as it should be."""

from __future__ import annotations

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
