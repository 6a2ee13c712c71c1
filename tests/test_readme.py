"""The README is short, shows an example Dag as it is, and links to what is there."""

from __future__ import annotations

import re

import pytest
from docs.pages import DOCS, PAGES
from project import EXAMPLES, ROOT

README = (ROOT / "README.md").read_text()
SHOWN = dict(re.findall(r"<!-- (example_dags/\w+\.py) -->\n```python\n(.*?)```\n", README, re.DOTALL))
LINKING = ["README.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "CHANGELOG.md"]


def test_it_is_short_and_its_first_result_is_in_the_first_screen():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert next(number for number, line in enumerate(lines, start=1) if "can send on email" in line) <= 40


def test_its_only_python_is_an_example_shown_as_it_is():
    assert len(SHOWN) == README.count("```python")
    assert {path: (ROOT / path).read_text() for path in SHOWN} == SHOWN


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in EXAMPLES])
def test_an_example_is_shown_in_the_documentation(path):
    assert any(f"{path}\n:language: python" in page.read_text() for page in PAGES)


@pytest.mark.parametrize("name", LINKING)
def test_every_target_that_it_names_is_there(name):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", (ROOT / name).read_text())) <= targets


@pytest.mark.parametrize("page", [*(ROOT / name for name in LINKING), *PAGES], ids=lambda path: path.name)
def test_what_is_linked_is_there(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_every_guide_is_linked():
    linked = set(re.findall(r"\]\(docs/guides/(\w+\.md)", README))
    # The page of security is SECURITY.md.
    assert linked == {path.name for path in (DOCS / "guides").glob("*.md")} - {"security.md"}
