"""The plugin: absent until it is switched on, and light in every process but an API server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from airflow_provider_revor.ui.plugin import extensions
from airflow_provider_revor.version_compat import UI_PLUGINS

NOTHING = {"fastapi_apps": [], "external_views": []}
CODE = """
import sys
from airflow.plugins_manager import AirflowPlugin
from airflow.providers.common.compat.sdk import conf
before = set(sys.modules)
from airflow_provider_revor.ui.plugin import RevorPlugin
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(len(RevorPlugin.fastapi_apps), len(RevorPlugin.external_views))
print(sorted(loaded & {"fastapi", "starlette", "requests", "httpx", "sqlalchemy", "pydantic", "tenacity"}))
print([name for name in set(sys.modules) - before if name.startswith("airflow_provider_revor.ui.")])
"""


@pytest.mark.parametrize("setting", [None, "False", "True"])
def test_it_is_off_until_it_is_switched_on_and_imports_nothing_heavy(setting):
    env = {**os.environ, **({"AIRFLOW__REVOR__ACCOUNTS_PAGE": setting} if setting else {})}
    run = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True)
    parts, heavy, own = run.stdout.splitlines()[-3:]
    there = setting == "True" and UI_PLUGINS
    assert parts == ("1 1" if there else "0 0")
    assert heavy == "[]"
    assert own == "['airflow_provider_revor.ui.plugin']"


def test_older_airflows_have_no_page():
    assert extensions(False, "") == NOTHING
    assert (extensions(True, "") == NOTHING) is not UI_PLUGINS


@pytest.mark.skipif(not UI_PLUGINS, reason="pages of plugins are of Airflow 3.1+")
@pytest.mark.parametrize(
    ("base_url", "href"),
    [
        ("", "/revor/"),
        ("/", "/revor/"),
        ("http://localhost:8080", "/revor/"),
        ("https://example.com/team/airflow/", "/team/airflow/revor/"),
    ],
)
def test_the_menu_leads_to_it_wherever_airflow_is_served(base_url, href):
    (view,) = extensions(True, base_url)["external_views"]
    assert (view["href"], view["category"]) == (href, "browse")


@pytest.mark.parametrize("lazy", ["True", "False"])
def test_airflow_loads_the_plugin_once(lazy):
    code = (
        "from airflow import plugins_manager as manager\n"
        "manager.ensure_plugins_loaded()\n"
        "plugins = manager._get_plugins()[0] if hasattr(manager, '_get_plugins') else manager.plugins\n"
        "print([type(plugin).__name__ for plugin in plugins if plugin.name == 'revor'])\n"
    )
    env = {**os.environ, "AIRFLOW__CORE__LAZY_LOAD_PROVIDERS": lazy}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] in ("['RevorPlugin']", "['type']")
