"""
Check that every link within a built site leads to a page and an anchor that exist. Asks no other site.

``python scripts/check_links.py docs/_build/html``
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := values.get(name))}
        self.links += [value for name in ("href", "src") if (value := values.get(name))]


def broken_links(root: Path) -> list[str]:
    """
    Return the links that lead nowhere, each with the page that has it.

    :param root: The folder of the site.
    """
    read = cache(_Page)
    broken = []
    for page in sorted(root.rglob("*.html")):
        for link in read(page).links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            has_anchor = not url.fragment or (target.is_file() and unquote(url.fragment) in read(target).anchors)
            if not target.is_file() or not has_anchor:
                broken.append(f"{page.relative_to(root)}: {link}")
    return broken


if __name__ == "__main__":
    found = broken_links(Path(sys.argv[1]))
    print(*found, f"{len(found)} broken links", sep="\n")
    sys.exit(bool(found))
