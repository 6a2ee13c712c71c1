"""The sandbox keeps what its own OpenAPI says, whatever it is asked; by schemathesis, where that is installed."""

from __future__ import annotations

import pytest
import requests

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import response_schema_conformance  # noqa: E402

from airflow_provider_revor.sandbox.server import Sandbox  # noqa: E402
from airflow_provider_revor.sandbox.web import control, revor  # noqa: E402
from airflow_provider_revor.sandbox.web.app import create_app  # noqa: E402
from airflow_provider_revor.sandbox.world.world import World  # noqa: E402


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


schema = schemathesis.openapi.from_dict(
    create_app(World("sk-revor-schema"), revor.v1, revor.v2, control.router).openapi()
)


@schema.parametrize()
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_breaks_it(sandbox, case):
    # Faults that an example asked for are meant, and not for the next one.
    sandbox.clear_faults()
    answer = case.call(base_url=sandbox.url, headers={"Authorization": f"Bearer {sandbox.api_key}"}, timeout=10)
    case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])


@pytest.fixture(scope="module")
def calm_sandbox():
    """One that no request to the control API has changed."""
    with Sandbox(accounts=[{"account_id": "acc_1", "channel": "linkedin"}]) as sandbox:
        yield sandbox


@schema.include(path_regex=r"^/api/.*\{job_id\}").parametrize()
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_a_job_that_there_is_has_the_documented_shape(calm_sandbox, case):
    """The test above asks for jobs by ids that it makes up."""
    sandbox = calm_sandbox
    sandbox.script_jobs(scheduled_in=3_600)
    headers = {"Authorization": f"Bearer {sandbox.api_key}"}
    like = {"profile_url": "https://linkedin.example.com/in/dana-example", "topic": "hiking"}
    url = f"{sandbox.url}/api/v2/outreach/linkedin/post-likes"
    case.path_parameters["job_id"] = requests.post(url, json=like, headers=headers, timeout=10).json()["item"]["id"]
    answer = case.call(base_url=sandbox.url, headers=headers, timeout=10)
    case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])
    # Some cases use another method than is documented.
    assert answer.status_code == (200 if case.method == case.operation.method.upper() else 405)
