"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path

from project import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
PICTURES = sorted((DOCS / "images").glob("*.*"))
# In bytes.
LARGEST_PICTURE, ALL_PICTURES = 120 * 1024, 600 * 1024
SNIPPETS = sorted((DOCS / "snippets").glob("*.*"))

_FENCE = re.compile(r"^(`{3,})(\S*)(?: ([^\n]*))?\n(.*?)^\1$", re.DOTALL | re.MULTILINE)


def blocks(path: Path) -> list[tuple[str, str, str]]:
    """Return each fenced block of a page: its language or directive, its argument, and its lines."""
    return [(kind, argument, body) for _, kind, argument, body in _FENCE.findall(path.read_text())]


def included(path: Path) -> set[Path]:
    """Return the files that a page includes."""
    return {
        (path.parent / argument).resolve()
        for kind, argument, _ in blocks(path)
        if kind in ("{literalinclude}", "{include}")
    }


def commands(path: Path) -> list[str]:
    """Return the commands of a page's console blocks, without the comments behind them."""
    return [
        line.removeprefix("$ ").partition("  #")[0].strip()
        for kind, _, body in blocks(path)
        if kind == "console"
        for line in body.splitlines()
        if line.startswith("$ ")
    ]
