"""The sdist and the wheel as they are published: reproducible, complete, and in the form that PyPI wants."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes

import pytest
from project import ROOT

pytestmark = pytest.mark.wheel


def run(*command, **kwargs):
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


def test_a_second_build_is_the_same_bit_by_bit(dist, rebuild):
    again = rebuild()
    assert {kind: path.read_bytes() for kind, path in again.items()} == {
        kind: path.read_bytes() for kind, path in dist.items()
    }


def test_the_tree_and_the_sdist_build_the_same_wheel(wheel, rebuild):
    assert rebuild("--wheel")["whl"].read_bytes() == wheel.read_bytes()


def test_the_sdist_has_what_its_tests_need(unpacked):
    # The unpacked package, not the one that is installed here.
    env = {**os.environ, "PYTHONPATH": str(unpacked)}
    pytest_there = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    code = "import airflow_provider_revor as package; print(package.__file__)"
    assert str(unpacked) in run(sys.executable, "-c", code, cwd=unpacked, env=env)
    run(*pytest_there, "--collect-only", cwd=unpacked, env=env)
    # The first reads files from the whole tree, the second starts Pythons of its own.
    run(*pytest_there, "tests/test_readme.py", "tests/test_imports.py", cwd=unpacked, env=env)


def test_links_of_the_description_lead_somewhere_on_pypi(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    description = message_from_bytes(archive.read(name)).get_payload(decode=True).decode()
    link = re.compile(r"\[([^]]+)\]\(([^)\s]+)\)")
    assert [target for _, target in link.findall(description) if not target.startswith("https://")] == []
    # The words are the README's.
    words = link.sub(r"\1", (ROOT / "README.md").read_text())
    assert link.sub(r"\1", description).strip() == words.strip()


# The tools are of the dev group: once is enough.


def test_twine_accepts_both(dist):
    pytest.importorskip("twine")
    run(sys.executable, "-m", "twine", "check", "--strict", *dist.values())


def test_check_wheel_contents_finds_nothing(wheel):
    pytest.importorskip("check_wheel_contents")
    run(sys.executable, "-m", "check_wheel_contents", wheel)


def test_pyproject_is_valid():
    pytest.importorskip("validate_pyproject")
    run(sys.executable, "-m", "validate_pyproject", ROOT / "pyproject.toml")


def test_pyroma_misses_only_an_address_of_the_authors(sdist):
    pytest.importorskip("pyroma")
    told = run(sys.executable, "-m", "pyroma", "--min=8", sdist)
    assert re.findall(r"^Your package .*", told, re.MULTILINE) == ["Your package does not have author-email data."]
