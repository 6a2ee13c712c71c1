"""What the connection's form saves, in each version of Airflow, means what it shows."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from airflow_provider_revor.get_provider_info import connection_form
from airflow_provider_revor.hooks.revor import RevorHook
from airflow_provider_revor.hooks.settings import read_settings

FIELDS = connection_form()["conn-fields"]


def read(extra, **fields):
    blank = {"conn_id": "c", "host": None, "port": None, "schema": None, "password": "sk-revor-x"}
    return read_settings(SimpleNamespace(**{**blank, **fields}, extra=json.dumps(extra)))


DEFAULTS = read({})
# What a person types into each field, and what it means.
TYPED = {
    "api_version": ("v2", "v2"),
    "proxies": ("http://proxy:3128", {"http": "http://proxy:3128", "https": "http://proxy:3128"}),
    "verify": ("false", False),
    "allow_http": (True, None),
    "timeout": (5, 5.0),
    "max_retries": (0, 0),
    "max_response_mb": (1, 1.0),
}


def test_every_field_is_typed_into_by_a_test():
    assert list(TYPED) == list(FIELDS)


@pytest.mark.parametrize(
    "empty",
    [pytest.param(None, id="null"), pytest.param("", id="empty-text"), pytest.param("  ", id="spaces")],
)
@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_is_left_empty_means_its_default(name, empty):
    if empty == "  " and FIELDS[name]["schema"]["type"][0] != "string":
        pytest.skip("a field of a number, or a checkbox, takes no spaces")
    assert read({name: empty}) == DEFAULTS


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_field_means_what_is_typed_into_it(name, as_text):
    typed, means = TYPED[name]
    extra = {name: str(typed) if as_text else typed}
    if name == "allow_http":
        assert read(extra, host="http://revor.test").base_url == "http://revor.test"
    else:
        assert getattr(read(extra), name) == means


# -- Airflow 2, by WTForms itself ------------------------------------------------------------------------


@pytest.fixture
def form():
    """Return a function that posts the form of Airflow 2, and returns its errors and its values."""
    wtforms = pytest.importorskip("wtforms", reason="this Airflow draws the form without wtforms")
    from werkzeug.datastructures import MultiDict

    made = type("ConnectionForm", (wtforms.Form,), RevorHook.get_connection_form_widgets())

    def post(**typed):
        posted = made(MultiDict({**{name: "" for name in FIELDS if name != "allow_http"}, **typed}))
        posted.validate()
        return posted.errors, posted.data

    return post


def test_the_form_of_airflow_2_is_saved_with_all_fields_empty(form):
    errors, values = form()
    assert errors == {}
    assert read(values) == DEFAULTS


def test_the_form_of_airflow_2_saves_what_is_typed(form):
    errors, values = form(api_version="v2", timeout="5", max_retries="0", verify="false", proxies="http://proxy:3128")
    assert errors == {}
    settings = read(values)
    assert (settings.api_version, settings.timeout, settings.max_retries, settings.verify) == ("v2", 5.0, 0, False)
    assert read(json.loads(json.dumps(values))) == settings


@pytest.mark.parametrize(("name", "typed"), [("timeout", "soon"), ("api_version", "v3")])
def test_the_form_of_airflow_2_names_a_field_that_cannot_be_used(form, name, typed):
    errors, _ = form(**{name: typed})
    assert list(errors) == [name]


# -- What people write into the fields -------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        pytest.param('REVOR_API_KEY="sk-revor-x"', id="line-of-a-file"),
        pytest.param("export REVOR_API_KEY='sk-revor-x'\n", id="line-of-a-shell"),
        pytest.param("REVOR_API_KEY = sk-revor-x", id="spaces-around"),
        pytest.param("Authorization: Bearer sk-revor-x", id="header"),
        pytest.param("x-api-key: sk-revor-x", id="other-header"),
        pytest.param(" \t\n'Bearer sk-revor-x'\r\n", id="quoted-header"),
        pytest.param("\u00a0sk-revor-x\u00a0", id="no-break-spaces"),
    ],
)
def test_a_key_is_understood_with_what_it_was_copied_with(written):
    assert read({}, password=written).api_key == "sk-revor-x"


@pytest.mark.parametrize("key", ["bearerbearer", "sk-x-api-key:1", "REVOR_API_KEY"])
def test_a_key_that_only_looks_like_that_stays_as_it_is(key):
    assert read({}, password=key).api_key == key


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ('REVOR_BASE_URL="https://revor.ai"', "https://revor.ai"),
        ("'revor.ai'", "https://revor.ai"),
        ("https://revor.ai/console/connect", "https://revor.ai"),
        ("revor.ai/my-api-keys", "https://revor.ai"),
        ("https://revor.ai/api/v1/connect/accounts", "https://revor.ai"),
        ("https://revor.ai:443/api/v2/", "https://revor.ai:443"),
        ("https://gateway.example/revor/api/v1/connect/accounts", "https://gateway.example/revor"),
        ("https://gateway.example/console/connect", "https://gateway.example/console/connect"),
    ],
)
def test_a_base_url_is_understood_as_it_was_copied(host, base_url):
    assert read({}, host=host).base_url == base_url
