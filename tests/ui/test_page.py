"""The page in a real API server: who sees what."""

from __future__ import annotations

import json

import pytest
import requests
from ui.api_server import EVIL, ApiServer

from airflow_provider_revor.version_compat import UI_PLUGINS

pytestmark = pytest.mark.skipif(not UI_PLUGINS, reason="pages of plugins are of Airflow 3.1+")

ACCOUNTS = "/connections/revor_page/accounts"
PATHS = ("/", "/static/page.js", "/static/page.css", "/overview", ACCOUNTS)


@pytest.mark.parametrize("path", PATHS)
def test_who_is_not_logged_in_gets_nothing(api_server, path):
    response = api_server.get(path)
    assert (response.status_code, list(response.json())) == (401, ["detail"])


@pytest.mark.parametrize("path", PATHS)
def test_a_forged_token_gets_nothing(api_server, path):
    response = requests.get(api_server.page + path, cookies={"_token": "e30.e30.e30"}, timeout=30)
    assert (response.status_code, list(response.json())) == (403, ["detail"])


@pytest.mark.parametrize("path", PATHS)
def test_who_may_not_read_connections_gets_nothing(api_server, path):
    response = api_server.get(path, "viewer")
    assert (response.status_code, list(response.json())) == (403, ["detail"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("user", ["reader", "admin"])
def test_who_may_read_connections_gets_it(api_server, path, user):
    response = api_server.get(path, user)
    assert response.status_code == 200
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["Cache-Control"] == "no-store"


def test_every_route_asks_airflow():
    from airflow_provider_revor.ui.app import create_app, router

    routes = {route.path for route in create_app().routes}
    assert routes == {route.path for route in router.routes}
    assert all(route.methods == {"GET"} for route in router.routes)
    assert len(router.dependencies) == 1


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/static/..%2fapp.py", "/static/__init__.py"])
def test_nothing_else_is_served(api_server, path):
    assert api_server.get(path, "admin").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/overview", ACCOUNTS])
def test_it_only_reads(api_server, method, path):
    cookies = {"_token": api_server.token("admin")}
    assert requests.request(method, api_server.page + path, cookies=cookies, timeout=30).status_code == 405


# Connections and accounts


def test_only_connections_of_the_type_revor_that_the_person_may_see(api_server):
    assert api_server.get("/overview", "admin").json()["connections"] == ["revor_page", "revor_secret"]
    assert api_server.get("/overview", "reader").json()["connections"] == ["revor_page"]


@pytest.mark.parametrize(
    ("conn_id", "user", "status"),
    [
        pytest.param("http_page", "admin", 404, id="another-type"),
        pytest.param("nobody", "admin", 404, id="none"),
        pytest.param("revor_secret", "reader", 403, id="forbidden"),
        pytest.param("revor_secret", "admin", 200, id="allowed"),
        pytest.param("..%2f..%2frevor_page", "admin", 404, id="path"),
    ],
)
def test_no_other_connection_is_asked_for(api_server, records, conn_id, user, status):
    before = records.request_count
    response = api_server.get(f"/connections/{conn_id}/accounts", user)
    assert response.status_code == status
    if status != 200:
        assert records.request_count == before


def test_revor_is_asked_once_a_minute_for_all(api_server, records):
    api_server.get(ACCOUNTS, "admin")
    before = records.request_count
    for user in ("admin", "reader") * 3:
        assert len(api_server.get(ACCOUNTS, user).json()["accounts"]) == 2
    assert records.request_count == before


def test_identifiers_are_for_those_who_may_edit_the_connection(api_server):
    def identifiers(user):
        return [account["account_identifier"] for account in api_server.get(ACCOUNTS, user).json()["accounts"]]

    assert identifiers("admin") == ["ready@example.com", "https://linkedin.example.com/in/anna"]
    assert identifiers("reader") == ["r•••", "h•••"]


def test_an_account_that_cannot_send_says_why(api_server):
    ready, blocked = api_server.get(ACCOUNTS, "reader").json()["accounts"]
    assert (ready["sendable"], ready["reason"], ready["name"]) == (True, None, EVIL)
    assert not blocked["sendable"]
    assert blocked["reason"].startswith("its credentials must be updated")
    assert blocked["console_url"] == "https://revor.ai/console/connect"


@pytest.mark.parametrize("path", ["/overview", ACCOUNTS])
def test_no_key_and_no_message_reaches_the_browser(api_server, records, path):
    text = api_server.get(path, "admin").text
    for secret in (records.api_key, "canary-password", "private words", "lead1@example.com", "crm-1"):
        assert secret not in text


# Gates and outreach


def of(shown, kind):
    """Of the Dags of this file: other tests leave theirs in the same database."""
    own = ("open_dag", "secret_dag")
    return {(each["dag_id"], each["task_id"]): each for each in shown[kind] if each["dag_id"] in own}


def test_gates_tell_what_they_wait_for_and_where(api_server):
    shown = api_server.get("/overview", "admin").json()
    gates = of(shown, "gates")
    tasks = ("deferred", "rescheduled", "other", "own_deferred", "own_rescheduled")
    assert set(gates) == {(dag, task) for dag in ("open_dag", "secret_dag") for task in tasks}
    wanted = {
        task: tuple(gates["open_dag", task][name] for name in ("state", "conn_id", "channel", "account_id"))
        for task in tasks
    }
    assert wanted == {
        "deferred": ("deferred", "revor_page", None, "acc_blocked"),
        "rescheduled": ("up_for_reschedule", "revor_page", "email", None),
        "other": ("running", "revor_secret", "email", None),
        # Of a class that is derived from the gate's.
        "own_deferred": ("deferred", "revor_page", None, "acc_blocked"),
        "own_rescheduled": ("up_for_reschedule", "revor_page", "email", None),
    }
    assert all(gate["since"] for gate in gates.values())
    gate = gates["open_dag", "deferred"]
    assert gate["task_url"] == f"dags/open_dag/runs/{requests.utils.quote(gate['run_id'], safe='')}/tasks/deferred"


def test_the_connection_of_a_gate_is_not_told_to_who_may_not_read_it(api_server):
    gate = of(api_server.get("/overview", "reader").json(), "gates")["open_dag", "other"]
    assert (gate["conn_id"], gate["channel"]) == (None, "email")
    assert "revor_secret" not in api_server.get("/overview", "reader").text


@pytest.mark.parametrize(
    ("task", "sent", "failed"),
    [
        pytest.param("send", 3, 0, id="batch"),
        pytest.param("one", 1, 0, id="one-message"),
        pytest.param("many", 2, 1, id="mapped"),
        # It sent nothing, and left no XCom.
        pytest.param("unfit", 0, 1, id="no-job"),
    ],
)
def test_outreach_is_counted_by_task_and_account(api_server, task, sent, failed):
    row = of(api_server.get("/overview", "admin").json(), "outreach")["open_dag", task]
    counts = tuple(row[name] for name in ("account_id", "sent", "accepted", "failed", "skipped"))
    assert counts == ("acc_ready", sent, 0, failed, 0)
    assert row["map_index"] == -1
    assert row["task_url"].endswith("/tasks/many/mapped" if task == "many" else f"/tasks/{task}")


def test_a_preview_is_no_outreach(api_server):
    shown = api_server.get("/overview", "admin").json()["outreach"]
    own = [(each["dag_id"], each["task_id"]) for each in shown if each["dag_id"] in ("open_dag", "secret_dag")]
    tasks = ("send", "one", "many", "unfit")
    assert sorted(own) == sorted((dag, task) for dag in ("open_dag", "secret_dag") for task in tasks)


def test_dags_that_the_person_may_not_read_are_not_told(api_server):
    shown = api_server.get("/overview", "reader").json()
    assert {dag_id for kind in ("gates", "outreach") for dag_id, _ in of(shown, kind)} == {"open_dag"}
    assert "secret_dag" not in json.dumps(shown)


# Off, as by default


def test_it_is_off_by_default(records, tmp_path):
    with ApiServer(tmp_path) as server:
        # Airflow's own catch-all page, or nothing: none of ours.
        assert "page.js" not in server.get("/", "admin").text
        headers = {"Authorization": f"Bearer {server.token('admin')}"}
        plugins = requests.get(f"{server.url}/api/v2/plugins", headers=headers, timeout=30).json()["plugins"]
        (ours,) = (plugin for plugin in plugins if plugin["name"] == "revor")
        assert (ours["fastapi_apps"], ours["external_views"]) == ([], [])
