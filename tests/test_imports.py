"""A Dag file pays for our import at every parse."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("requests", "httpx", "aiohttp", "pendulum", "tenacity", "fastapi", "uvicorn", "wtforms")

# What a Dag file has loaded anyway: Airflow's own names for Dags and operators.
CODE = """
import importlib, json, sys
from airflow.providers.common.compat.sdk import DAG, BaseOperator, BaseSensorOperator, conf
before, loaded = set(sys.modules), {{}}
for module in {modules}:
    importlib.import_module(module)
    loaded[module] = sorted(set(sys.modules) - before)
print(json.dumps(loaded))
"""
MODULES = (
    "airflow_provider_revor.selection",
    "airflow_provider_revor.hooks.revor",
    "airflow_provider_revor.operators.connect",
    "airflow_provider_revor.operators.outreach",
    "airflow_provider_revor.operators.batch",
    "airflow_provider_revor.sensors.connect",
    "airflow_provider_revor.sensors.outreach",
)


def test_importing_it_loads_nothing_heavy():
    # One process for all, because Airflow takes seconds to start. The first module in the result is the one to blame.
    run = subprocess.run(
        [sys.executable, "-c", CODE.format(modules=MODULES)], capture_output=True, text=True, check=True
    )
    loaded = json.loads(run.stdout.splitlines()[-1])
    assert set(loaded) == set(MODULES) <= set(loaded[MODULES[-1]])
    heavy = {name for names in loaded.values() for name in names if name.partition(".")[0] in HEAVY}
    assert {module: sorted(heavy & set(names)) for module, names in loaded.items() if heavy & set(names)} == {}


def test_the_provider_info_loads_nothing_else_of_ours():
    code = "import sys; import airflow_provider_revor.get_provider_info; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "airflow" not in loaded
    assert [name for name in loaded if name.startswith("airflow_provider_revor.")] == [
        "airflow_provider_revor.get_provider_info"
    ]
