"""The connection's form in a real Airflow: what it draws, saves, reads again and tests, by the requests of its UI."""

from __future__ import annotations

import json

import pytest
from system.airflow_cluster import AirflowCluster

from airflow_provider_revor.get_provider_info import connection_form
from airflow_provider_revor.sandbox.server import Sandbox

pytestmark = pytest.mark.system

CONFIG = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}
EXTRA = {"api_version": "v2", "proxies": None, "verify": "true", "allow_http": False, "timeout": 5, "max_retries": 0}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with AirflowCluster(tmp_path_factory.mktemp("airflow"), {}, CONFIG) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


def fields(sandbox, **changes):
    """What the form posts of a connection."""
    return {
        "connection_id": "my_revor",
        "conn_type": "revor",
        "host": sandbox.url,
        "password": sandbox.api_key,
        "extra": json.dumps(EXTRA),
        **changes,
    }


def test_the_form_can_be_saved_read_again_and_edited(cluster, sandbox):
    cluster.api("POST", "/connections", **fields(sandbox))
    saved = cluster.api("GET", "/connections/my_revor")
    assert json.loads(saved["extra"]) == EXTRA
    assert set(EXTRA) < set(connection_form()["conn-fields"])
    edited = {**EXTRA, "timeout": 7}
    cluster.api("PATCH", "/connections/my_revor", **fields(sandbox, password="***", extra=json.dumps(edited)))
    assert json.loads(cluster.api("GET", "/connections/my_revor")["extra"]) == edited


def test_the_test_button_tests_what_is_in_the_form(cluster, sandbox):
    works = cluster.api("POST", "/connections/test", **fields(sandbox, connection_id="new"))
    assert works["status"] is True
    assert works["message"].startswith("Revor answers: 6 Connect accounts, 0 of them can send.")
    fails = cluster.api("POST", "/connections/test", **fields(sandbox, connection_id="new", password="sk-revor-wrong"))
    assert fails["status"] is False
    assert fails["message"].startswith(
        "The API key is not valid on this connection. Put a valid one into the field API"
    )


def test_a_stored_connection_with_an_empty_port_is_tested_once_the_key_is_typed_again(cluster, sandbox):
    """Airflow 3.3 takes the form's empty port, which it posts as 0, for another port, unless there is a key."""
    cluster.api("POST", "/connections", **fields(sandbox, connection_id="stored"))
    assert cluster.api("POST", "/connections/test", **fields(sandbox, connection_id="stored", port=0))["status"] is True


def test_a_stored_connection_with_a_port_is_tested_as_it_is(cluster, sandbox):
    host, _, port = sandbox.url.rpartition(":")
    stored = {"connection_id": "with_port", "host": host, "port": int(port)}
    cluster.api("POST", "/connections", **fields(sandbox, **stored))
    assert cluster.api("POST", "/connections/test", **fields(sandbox, **stored, password="***"))["status"] is True
