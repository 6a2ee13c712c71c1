from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module, resources
from importlib.metadata import entry_points
from importlib.util import find_spec

import jsonschema
import pytest

from airflow_provider_revor.get_provider_info import get_provider_info
from airflow_provider_revor.version_compat import FORM_FROM_PROVIDER_INFO

INFO = get_provider_info()


def schema(name):
    return json.loads(resources.files("airflow").joinpath(name).read_text())


def test_it_is_valid_by_airflows_own_schema():
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


@pytest.mark.skipif(not FORM_FROM_PROVIDER_INFO, reason="Airflow draws forms from the provider info from 3.2 on")
def test_the_form_is_valid_by_airflows_schema_of_provider_yaml():
    connection_types = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    jsonschema.validate(INFO["connection-types"], connection_types)


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_every_module_that_it_names_offers_what_it_says(kind):
    ending = kind.title().removesuffix("s")
    for entry in INFO[kind]:
        assert entry["integration-name"] == INFO["integrations"][0]["integration-name"]
        for name in entry["python-modules"]:
            assert [public for public in vars(import_module(name)) if public.endswith(ending)], name


def test_the_installed_package_names_it_as_its_entry_point():
    (point,) = (
        p for p in entry_points(group="apache_airflow_provider") if p.value.startswith("airflow_provider_revor")
    )
    assert point.load() is get_provider_info


# In a process of its own: Airflow 3.1 puts mocks of wtforms into sys.modules to draw forms without it.
DRAW_FORM = """
import json
try:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
except ImportError:  # Airflow 2
    from airflow.providers_manager import ProvidersManager
    manager = ProvidersManager()
    title = manager.field_behaviours["revor"]["relabeling"]["password"]
    hidden = "login" in manager.field_behaviours["revor"]["hidden_fields"]
    prefix = "extra__revor__"
    extra = [name.removeprefix(prefix) for name in manager.connection_form_widgets if name.startswith(prefix)]
else:
    (form,) = [meta for meta in HookMetaService.hook_meta_data() if meta.connection_type == "revor"]
    fields, extra = form.standard_fields, list(form.extra_fields or [])
    title, hidden = (fields.password.title, fields.login.hidden) if fields else (None, None)
print(json.dumps([title, hidden, extra]))
"""


def test_airflow_draws_the_form_of_the_connection_type():
    run = subprocess.run([sys.executable, "-c", DRAW_FORM], capture_output=True, text=True, check=True)
    title, hidden, extra = json.loads(run.stdout.splitlines()[-1])
    if title is None and not FORM_FROM_PROVIDER_INFO and find_spec("wtforms") is None:
        pytest.skip("this Airflow draws forms only where wtforms is installed")
    assert (title, hidden) == ("API key", True)
    assert set(extra) == set(INFO["connection-types"][0]["conn-fields"])
