"""A Dag file pays for our import at every parse."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("requests", "httpx", "aiohttp", "pendulum", "tenacity", "fastapi", "uvicorn", "wtforms")

# What a Dag file has loaded anyway: Airflow's own names for Dags and operators.
BEFORE = """
import sys
from airflow.providers.common.compat.sdk import DAG, BaseOperator, BaseSensorOperator, conf
before = set(sys.modules)
import {module}
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize(
    "module",
    [
        "airflow_provider_revor.operators.connect",
        "airflow_provider_revor.operators.outreach",
        "airflow_provider_revor.sensors.connect",
        "airflow_provider_revor.sensors.outreach",
        "airflow_provider_revor.hooks.revor",
        "airflow_provider_revor.selection",
    ],
)
def test_importing_it_loads_nothing_heavy(module):
    run = subprocess.run(
        [sys.executable, "-c", BEFORE.format(module=module)], capture_output=True, text=True, check=True
    )
    loaded = run.stdout.splitlines()[-1].split()
    assert module in loaded
    assert [name for name in loaded if name.partition(".")[0] in HEAVY] == []


def test_the_provider_info_loads_nothing_else_of_ours():
    code = "import sys; import airflow_provider_revor.get_provider_info; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "airflow" not in loaded
    assert [name for name in loaded if name.startswith("airflow_provider_revor.")] == [
        "airflow_provider_revor.get_provider_info"
    ]
