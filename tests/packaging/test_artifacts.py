"""The sdist and the wheel as they are published: reproducible, complete, and in the form that PyPI wants."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes

import pytest
from project import ROOT

from airflow_provider_revor import __version__

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


def test_the_documentation_is_in_the_sdist_without_what_was_built(unpacked):
    assert (unpacked / "docs" / "conf.py").exists()
    assert (unpacked / "docs" / "images" / "pipeline.svg").exists()
    assert not (unpacked / "docs" / "_build").exists()


@pytest.fixture
def sbom(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if "/sboms/" in name)
    assert name.endswith(".dist-info/sboms/airflow-provider-revor.cdx.json")
    return archive.read(name).decode()


def test_the_bill_of_materials_names_what_the_wheel_depends_on(wheel, sbom):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    required = message_from_bytes(archive.read(name)).get_all("Requires-Dist")
    bill = json.loads(sbom)
    told = {part["properties"][0]["value"]: part["scope"] for part in bill["components"]}
    assert told == {
        requirement.partition(";")[0].strip(): "optional" if "extra ==" in requirement else "required"
        for requirement in required
    }
    assert bill["metadata"]["component"]["version"] == __version__
    # Both would differ from build to build.
    assert "timestamp" not in bill["metadata"]
    assert "serialNumber" not in bill


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


def test_the_bill_of_materials_is_valid_cyclonedx(sbom):
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(sbom) is None


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
