"""What noxfile.py, pyproject.toml and the GitHub workflow say of the matrix is the same."""

from __future__ import annotations

import re
import runpy
import tomllib
from types import SimpleNamespace

import pytest
from project import ROOT


@pytest.fixture(scope="module")
def noxfile():
    pytest.importorskip("nox", reason="nox is of the dev group")
    return SimpleNamespace(**runpy.run_path(str(ROOT / "noxfile.py")))


def test_what_is_left_out_on_most_airflows_is_there(noxfile):
    listed = (*noxfile.ONCE, *noxfile.INDEPENDENT_OF_AIRFLOW)
    assert [path for path in listed if not (ROOT / path).exists()] == []


def test_what_does_not_depend_on_airflow_runs_on_the_lowest_versions_and_the_newest_python(noxfile):
    environments = noxfile.MATRIX.values()
    (other,) = (environment for environment in environments if environment.independent)
    assert other.python == max((environment.python for environment in environments), key=lambda v: int(v[2:]))
    assert noxfile.LOWEST.independent


def test_all_but_the_newest_stable_airflow_which_make_test_runs_run_by_default(noxfile):
    assert max(name for name, environment in noxfile.MATRIX.items() if environment.day) == noxfile.NEWEST
    pins = (ROOT / "constraints.txt").read_text()
    assert f"\napache-airflow=={noxfile.NEWEST}." in pins


def test_the_pythons_of_the_classifiers_are_those_that_are_tested(noxfile):
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    promised = {
        name.rpartition(" ")[2] for name in classifiers if name.startswith("Programming Language :: Python :: ")
    }
    assert promised == {environment.python for environment in (*noxfile.MATRIX.values(), noxfile.LOWEST)}


@pytest.mark.parametrize("name", ["ci", "release"])
def test_the_workflow_runs_every_session(noxfile, name):
    workflow = ROOT / ".github/workflows" / f"{name}.yml"
    if not workflow.exists():
        pytest.skip("the sdist has no workflows")
    wanted = {
        "ci": [*(f"tests({version})" for version in noxfile.MATRIX), "lowest"],
        "release": [f"constraints({version})" for version in noxfile.CONSTRAINED],
    }
    (sessions,) = re.findall(r"session: \[(.*)\]", workflow.read_text())
    assert sessions.split(", ") == wanted[name]


def test_the_quick_start_says_under_which_constraints_it_installs(noxfile):
    text = " ".join((ROOT / "docs/quickstart.md").read_text().split())
    for name, environment in noxfile.CONSTRAINED.items():
        if environment.constrained:
            (told,) = re.findall(r"under the constraints of Airflow (.*?), too", text)
            versions = re.split(r", | and ", told)
            assert any(environment.airflow == told or f"{told}." in environment.airflow for told in versions), name
        else:
            assert f"The constraints of Airflow {name}, " in text
            assert f"apache-airflow=={environment.airflow} " in text
