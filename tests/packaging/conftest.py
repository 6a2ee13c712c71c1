from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT


def build(out: Path, *options: str) -> dict[str, Path]:
    """Build and return the artifacts by their kind: ``whl``, ``gz``."""
    command = [sys.executable, "-m", "uv", "build", "--quiet", *options, "--out-dir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.suffix[1:]: path for path in out.glob("airflow_provider_revor-*")}


@pytest.fixture(scope="session")
def dist(tmp_path_factory) -> dict[str, Path]:
    """The sdist, and the wheel that is built from the sdist."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def wheel(dist) -> Path:
    return dist["whl"]


@pytest.fixture(scope="session")
def sdist(dist) -> Path:
    return dist["gz"]


@pytest.fixture
def rebuild(tmp_path):
    """Return a function that builds once more, with uv's options."""
    return lambda *options: build(tmp_path / "again", *options)
