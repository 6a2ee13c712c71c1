"""The suite on every Airflow that the provider supports: ``make test-matrix``, or ``nox -s "tests(3.1)"``."""

from __future__ import annotations

import os

import nox

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True

# The newest patch of each, and the day until which its dependencies are resolved: an older Airflow breaks with
# today's pydantic, FastAPI and Starlette, so each gets what there was when it was released.
AIRFLOWS = {
    "2.11": ("2.11.2", "2026-03-16"),
    "3.0": ("3.0.6", "2025-08-31"),
    "3.1": ("3.1.8", "2026-03-13"),
    "3.2": ("3.2.2", "2026-05-31"),
    "3.3": ("3.3.2", "2026-09-19"),
}
# The floor in pyproject.toml came later than Airflow 3.0.6, which so also tests the floor.
COMPAT = "apache-airflow-providers-common-compat"
COMPAT_FLOOR_DAY = "2026-01-18"


@nox.session
@nox.parametrize("airflow", [nox.param(name, id=name) for name in AIRFLOWS])
def tests(session: nox.Session, airflow: str) -> None:
    version, day = AIRFLOWS[airflow]
    compat_day = max(day, COMPAT_FLOOR_DAY)
    session.install(
        f"--exclude-newer={day}",
        f"--exclude-newer-package={COMPAT}={compat_day}",
        "--group=test",
        "-e",
        ".[sandbox]",
        f"apache-airflow=={version}",
        silent=False,
    )
    # A run inside a run must not find the outer one's Airflow.
    session.env["AIRFLOW_HOME"] = os.path.join(session.create_tmp(), "airflow")
    session.run("pytest", *session.posargs)
