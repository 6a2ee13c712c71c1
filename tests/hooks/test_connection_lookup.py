"""A connection that Airflow cannot find, cannot read, or cannot parse: three different errors."""

from __future__ import annotations

import asyncio

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_revor import exceptions as e
from airflow_provider_revor.hooks.revor import RevorHook


def look_sync(hook):
    hook.list_connect_accounts()


def look_async(hook):
    asyncio.run(hook.alist_connect_accounts())


both = pytest.mark.parametrize("look", [look_sync, look_async])


@both
def test_a_connection_that_does_not_exist_is_missing(airflow_db, look):
    with pytest.raises(e.RevorMissingConnectionError, match="no Airflow connection 'nowhere'"):
        look(RevorHook("nowhere"))


@both
@pytest.mark.parametrize("conn_id", [None, "", " ", "None", 5])
def test_what_names_no_connection_is_no_trouble_of_airflow(look, conn_id):
    with pytest.raises(e.RevorValueError, match=r"^revor_conn_id is .*: it must name an Airflow connection"):
        look(RevorHook(conn_id))


@both
@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        pytest.param(AirflowNotFoundException("isn't defined"), "There is no Airflow connection", id="not-found"),
        pytest.param(PermissionError("denied: s3cret"), r"could not read .* \(PermissionError\)", id="denied"),
        pytest.param(RuntimeError("API_SERVER_ERROR: s3cret"), r"could not read .* \(RuntimeError\)", id="api-server"),
        pytest.param(OSError("no database: s3cret"), r"could not read .* \(OSError\)", id="database"),
    ],
)
def test_trouble_of_airflow_may_heal(monkeypatch, look, trouble, words):
    def fail(*_):
        raise trouble

    monkeypatch.setattr(RevorHook, "get_connection", fail)
    with pytest.raises(e.RevorMissingConnectionError, match=words) as caught:
        look(RevorHook())
    assert "secrets backend" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    ok, message = RevorHook().test_connection()
    assert (ok, message) == (False, str(caught.value))


def chain(error):
    """All exceptions that an error tracker would walk through."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@both
@pytest.mark.parametrize(
    "value",
    [
        pytest.param('{"conn_type": "revor", "password": "sk-revor-canary"', id="cut-json"),
        pytest.param('{"conn_type": "revor", "passwort": "sk-revor-canary"}', id="unknown-field"),
        pytest.param('{"conn_type": "revor", "port": "x", "password": "sk-revor-canary"}', id="port-in-json"),
        pytest.param("revor://:sk-revor-canary@revor.ai:port", id="port-in-uri"),
        pytest.param("revor://:sk-revor-canary@[revor.ai", id="bracket"),
        pytest.param("revor://a://b://:sk-revor-canary@c", id="three-schemes"),
    ],
)
def test_a_malformed_variable_is_named_without_its_value(airflow_db, monkeypatch, look, value):
    monkeypatch.setenv("AIRFLOW_CONN_MY_REVOR", value)
    with pytest.raises(e.RevorConfigurationError, match="AIRFLOW_CONN_MY_REVOR is set, but") as caught:
        look(RevorHook("my_revor"))
    assert not any("canary" in f"{error!r} {vars(error)}" for error in chain(caught.value))
    assert RevorHook("my_revor").test_connection() == (False, str(caught.value))
