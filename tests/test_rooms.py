"""The rooms of the package: which may import from which. CONTRIBUTING.md and this table say the same."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from project import ROOT

PACKAGE = "airflow_provider_revor"

# From the ground up. A module imports from its own room and from those below, whether at the top or late.
FLOORS = [
    {"__init__", "get_provider_info", "version_compat", "typing"},
    {"exceptions"},
    {"api"},
    {"links", "metrics"},
    {"selection"},
    {"rules"},
    {"retry_policy", "campaign", "hooks", "tasks"},
    {"triggers"},
    {"sensors", "operators"},
    {"cli", "testing", "ui"},
    {"__main__"},
]
APART = "sandbox"

MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))


def room(name: str) -> str:
    """The room of a module, by its name within the package."""
    return name.split(".")[0] or "__init__"


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(name) in rooms)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """What a module imports from the package, by names within it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            found.add(node.module.removeprefix(PACKAGE).lstrip("."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix(PACKAGE).lstrip(".") for a in node.names if a.name.startswith(PACKAGE)}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_from_its_own_room_and_those_below(path):
    name = name_of(path)
    for other in imports(path):
        if room(name) == APART:
            assert room(other) in (APART, "__init__"), f"the sandbox must not import {other}: it is a Revor of its own"
        elif room(other) == APART:
            assert room(name) in ("__main__", "testing"), f"{name} must not import the sandbox"
        elif room(other) != room(name):
            assert floor(other) < floor(name), f"{name} must not import {other}"


def test_no_module_imports_itself_by_way_of_others():
    graph = {name_of(path): imports(path) for path in MODULES}

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way, name])
        for other in graph.get(name, ()):
            visit(other, (*way, name))

    for name in graph:
        visit(name, ())
