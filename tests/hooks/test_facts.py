"""The connection's extras and defaults stand in four places, which say the same."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import pytest
from project import ROOT

from airflow_provider_revor.get_provider_info import connection_form
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.settings import DEFAULT_HOST, Settings

# How each place writes the default of `Settings`.
DEFAULTS = {
    "api_version": "v1",
    "timeout": "30",
    "max_response_mb": "32",
    "max_retries": "3",
    "verify": "true",
    "proxies": "environment",
    "allow_http": "false",
}
DOCSTRING = " ".join((inspect.getdoc(RevorHook) or "").split())
PAGE = (ROOT / "docs/connection.md").read_text()


def test_the_settings_have_these_defaults():
    has = {field.name: field.default for field in fields(Settings)}
    for name in ("timeout", "max_response_mb", "max_retries"):
        assert has[name] == float(DEFAULTS[name])
    assert has["verify"] is True
    assert has["api_version"] == DEFAULTS["api_version"]


def test_the_form_the_documentation_and_the_docstring_have_these_extras():
    assert set(connection_form()["conn-fields"]) == set(DEFAULTS)
    assert set(re.findall(r"^Extra `(\w+)`\n: ", PAGE, re.MULTILINE)) == set(DEFAULTS)
    assert set(re.findall(r"``(\w+)`` \(", DOCSTRING)) == set(DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_place_says_the_same_default(name):
    default = DEFAULTS[name]
    form = connection_form()["conn-fields"][name]["description"]
    assert re.search(rf"Default: .*{default}", form)
    # A checkbox has no placeholder; a proxy's is an example.
    placeholder = connection_form()["ui-field-behaviour"]["placeholders"].get(name, default)
    assert placeholder in (default, "http://proxy:3128")
    entry = re.search(rf"^Extra `{name}`\n: (.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert entry
    assert re.search(rf"Default: [^.]*{default}", entry[1])
    docstring = re.search(rf"``{name}`` \((.*?)\)", DOCSTRING)
    assert docstring
    assert re.search(rf"default:? .*{default}", docstring[1])


def test_each_place_says_the_same_host():
    assert DEFAULT_HOST in DOCSTRING
    assert connection_form()["ui-field-behaviour"]["placeholders"]["host"] == DEFAULT_HOST
    assert re.search(rf"^Host\n: .*Default: `{DEFAULT_HOST}`", PAGE, re.MULTILINE)
