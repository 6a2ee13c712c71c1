"""docs/cluster.md has a row for each test, and says how the servers are installed where they are missing."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

from cluster import services
from project import ROOT


def test_each_row_of_the_table_is_a_test_and_each_test_has_a_row():
    code = ast.parse(Path(__file__).with_name("test_faults.py").read_text())
    tests = [node.name for node in code.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    page = (ROOT / "docs" / "cluster.md").read_text()
    assert re.findall(r"^\|.*\| `(test_\w+)` \|$", page, re.MULTILINE) == tests


def test_missing_servers_are_named(monkeypatch):
    monkeypatch.setattr(services, "postgres_folder", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert services.missing() == ["PostgreSQL", "Redis"]
    assert "apt-get install postgresql redis-server" in services.HOW_TO_INSTALL
