"""
The tests on every Airflow and Python that the provider supports: ``make test-matrix``, or ``nox -s "tests(3.1)"``.

``make test`` runs the newest stable Airflow on Python 3.11 with the pinned versions of constraints.txt.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = True
# pyenv's shims run only the Pythons that are selected.
os.environ.setdefault("PYENV_VERSION", "3.11:3.12:3.13")

PARALLEL = ("-n", "logical", "--maxprocesses", "8", "--dist", "loadgroup")

# These depend on no version: models, fuzzing, and what a build holds. They run once, in ``make test``.
ONCE = (
    "tests/docs/test_pages.py",
    "tests/faults/test_atheris.py",
    "tests/faults/test_fuzz.py",
    "tests/faults/test_sandbox_schema.py",
    "tests/operators/batch/test_batch_campaign_model.py",
    "tests/operators/batch/test_batch_model.py",
    "tests/operators/test_campaign_model.py",
    "tests/operators/test_sending_model.py",
    "tests/packaging/test_artifacts.py",
    "tests/test_readme.py",
)

# These depend on Python and on HTTP libraries, but not on Airflow. They run on Python 3.11 (``make test``) and 3.13,
# and with the lowest versions. Whatever is in neither list runs in every session.
INDEPENDENT_OF_AIRFLOW = (
    "tests/api",
    "tests/faults",
    "tests/hooks/test_addresses.py",
    "tests/hooks/test_ca_bundles.py",
    "tests/hooks/test_deadline.py",
    "tests/hooks/test_key_in_errors.py",
    "tests/hooks/test_load.py",
    "tests/hooks/test_over_a_socket.py",
    "tests/hooks/test_redirects.py",
    "tests/hooks/test_sharing.py",
    "tests/packaging/test_wheel.py",
    "tests/rules",
    "tests/sandbox",
    "tests/test_exceptions.py",
    "tests/test_selection.py",
)


@dataclass(frozen=True)
class Environment:
    """
    What one session of the matrix runs on.

    :param python: the Python.
    :param airflow: the Airflow, its newest patch.
    :param day: the day as of which dependencies are resolved: an older Airflow breaks with today's pydantic, FastAPI
        and Starlette, so each gets the versions of its time.
    :param independent: whether the tests that do not depend on Airflow run, too.
    :param constrained: whether Airflow's own constraints allow what the provider needs; None: there are none, for a
        beta.
    """

    python: str
    airflow: str
    day: str | None = None
    independent: bool = False
    constrained: bool | None = True


MATRIX = {
    "2.11": Environment("3.12", "2.11.2", "2026-03-16"),
    # Its constraints have common-compat 1.7.
    "3.0": Environment("3.11", "3.0.6", "2025-08-31", constrained=False),
    "3.1": Environment("3.13", "3.1.8", "2026-03-13", independent=True),
    "3.2": Environment("3.12", "3.2.2", "2026-05-31"),
    "3.3": Environment("3.13", "3.3.2", "2026-09-19"),
    "3.4": Environment("3.13", "3.4.0b2", constrained=None),
}
CONSTRAINED = {name: environment for name, environment in MATRIX.items() if environment.constrained is not None}
LOWEST = Environment("3.11", "2.11.0", "2025-05-25", independent=True)

# That of ``make test``. On another Python, it runs on GitHub and if asked for.
NEWEST = "3.3"
nox.options.sessions = [*(f"tests({name})" for name in MATRIX if name != NEWEST), "lowest"]

# The floor in pyproject.toml is newer than Airflow 2.11.0 and 3.0.6, which so also test the floor.
COMPAT = "apache-airflow-providers-common-compat"
COMPAT_FLOOR_DAY = "2026-01-18"
# So is that of the build backend, which Airflow does not see.
BACKEND = "hatchling"
BACKEND_FLOOR_DAY = "2026-03-01"


@nox.session
@nox.parametrize(
    ["python", "name"], [nox.param(environment.python, name, id=name) for name, environment in MATRIX.items()]
)
def tests(session: nox.Session, name: str) -> None:
    environment = MATRIX[name]
    install(session, environment)
    run(session, environment)


@nox.session(python=LOWEST.python)
def lowest(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml allows. The tools of the tests are of that day, but not the lowest."""
    pins = Path(session.create_tmp(), "lowest.txt")
    session.run(
        *("uv", "pip", "compile", "--quiet", "--resolution=lowest-direct", "--extra=sandbox", *as_of(LOWEST)),
        *("--no-header", "--no-annotate", f"--python={session.virtualenv.location}", f"--output-file={pins}"),
        "pyproject.toml",
        external=True,
    )
    install(session, LOWEST, f"--constraints={pins}")
    run(session, LOWEST)


@nox.session
@nox.parametrize(
    ["python", "name"], [nox.param(environment.python, name, id=name) for name, environment in CONSTRAINED.items()]
)
def constraints(session: nox.Session, name: str) -> None:
    """The wheel in dist installs with pip and with uv under Airflow's own constraints, and Airflow lists it."""
    environment = CONSTRAINED[name]
    (wheel,) = Path("dist").glob("*.whl")
    # Elsewhere, if CONSTRAINTS says where: a folder, or another address.
    where = os.environ.get("CONSTRAINTS", "https://raw.githubusercontent.com/apache/airflow")
    file = f"{where}/constraints-{environment.airflow}/constraints-{environment.python}.txt"
    airflow, provider = f"apache-airflow=={environment.airflow}", str(wheel.resolve())
    # As the quick start says: under the constraints, or after Airflow, which must then stay as it is.
    under = [[airflow, provider, "--constraint", file]]
    after = [[airflow, "--constraint", file], [airflow, provider]]
    for installer in ("pip", "uv"):
        folder = Path(session.create_tmp(), installer).resolve()
        session.run(
            "uv", "venv", "--quiet", "--clear", "--seed", f"--python={environment.python}", str(folder), external=True
        )
        python = str(folder / "bin" / "python")
        for what in under if environment.constrained else after:
            if installer == "pip":
                session.run(python, "-m", "pip", "install", "--quiet", *what, external=True)
            else:
                session.run("uv", "pip", "install", "--quiet", f"--python={python}", *what, external=True)
        session.env["AIRFLOW_HOME"] = str(folder / "airflow")
        session.run(str(folder / "bin" / "airflow"), "providers", "get", "airflow-provider-revor", external=True)


def install(session: nox.Session, environment: Environment, *options: str) -> None:
    session.install(
        *as_of(environment),
        *options,
        "--group=test",
        "-e",
        ".[sandbox]",
        f"apache-airflow=={environment.airflow}",
        silent=False,
    )


def as_of(environment: Environment) -> list[str]:
    if environment.day is None:
        return []
    floors = ((COMPAT, COMPAT_FLOOR_DAY), (BACKEND, BACKEND_FLOOR_DAY))
    newer = [f"--exclude-newer-package={name}={max(environment.day, day)}" for name, day in floors]
    return [f"--exclude-newer={environment.day}", *newer]


def run(session: nox.Session, environment: Environment) -> None:
    # A run inside a run must not find the outer one's Airflow.
    session.env["AIRFLOW_HOME"] = os.path.join(session.create_tmp(), "airflow")
    left_out = ONCE if environment.independent else (*ONCE, *INDEPENDENT_OF_AIRFLOW)
    session.run("pytest", *PARALLEL, *(f"--ignore={path}" for path in left_out), *session.posargs)
