"""The sandbox's rooms: a room imports only from those below it, and the house has no more than six floors."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = "airflow_provider_revor.sandbox"
ROOT = Path(__file__).parents[2] / "airflow_provider_revor/sandbox"
#: From the ground up; the files beside the rooms are the top.
ROOMS = ("contract", "world", "web", "top")
FILES = {
    ".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}


@cache
def imports(module):
    """Return the sandbox's modules that this one imports, at any time or for types only."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & FILES.keys()
            found |= submodules or {node.module}
    # The package itself only names the way in, for those who are outside.
    return sorted(found & FILES.keys() - {PACKAGE})


def room(module):
    inner = module.removeprefix(PACKAGE).strip(".").split(".")
    return inner[0] if inner[0] in ROOMS else "top"


def floor(module, above=()):
    assert module not in above, f"a circle: {' -> '.join((*above, module))}"
    return 1 + max((floor(each, (*above, module)) for each in imports(module)), default=0)


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_room_imports_only_from_below(module):
    for imported in imports(module):
        assert ROOMS.index(room(imported)) <= ROOMS.index(room(module)), f"{module} imports {imported}"


def test_there_are_no_circles_and_at_most_six_floors():
    floors = {module: floor(module) for module in FILES if module != PACKAGE}
    assert max(floors.values()) <= 6, floors


def test_the_sandbox_imports_nothing_of_the_client():
    for module, path in FILES.items():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith(("import airflow", "from airflow")):
                assert PACKAGE in line, f"{module}: {line}"
