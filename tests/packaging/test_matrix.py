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
    assert [path for path in noxfile.INDEPENDENT_OF_AIRFLOW if not (ROOT / path).exists()] == []


def test_what_does_not_depend_on_airflow_runs_on_the_lowest_and_the_newest_stable(noxfile):
    assert [name for name, environment in noxfile.MATRIX.items() if environment.everything] == ["3.3"]
    assert noxfile.LOWEST.everything


def test_the_pythons_of_the_classifiers_are_those_that_are_tested(noxfile):
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    promised = {
        name.rpartition(" ")[2] for name in classifiers if name.startswith("Programming Language :: Python :: ")
    }
    assert promised == {environment.python for environment in (*noxfile.MATRIX.values(), noxfile.LOWEST)}


def test_the_workflow_runs_every_session(noxfile):
    workflow = ROOT / ".github/workflows/ci.yml"
    if not workflow.exists():
        pytest.skip("the sdist has no workflows")
    (sessions,) = re.findall(r"session: \[(.*)\]", workflow.read_text())
    assert sessions.split(", ") == [*(f"tests({name})" for name in noxfile.MATRIX), "lowest"]
