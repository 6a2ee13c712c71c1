"""
Draw docs/images/bench-*.svg from the tables of docs/benchmarks.md, which alone has the figures.

``make bench-plots``, after a table has changed. A plot whose table is not there is not drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
PAGE, FOLDER = DOCS / "benchmarks.md", DOCS / "images"

# In pixels: the picture, its margin, the longest bar; a title, a group's name, a bar with its label.
WIDTH, MARGIN, LONGEST = 520, 14, 420
TITLE, GROUP, ROW, BAR = 28, 26, 35, 12
COLOURS = ("#1f6f54", "#6b4fb3", "#b07d16", "#2f6f9f", "#7f8c8d")

FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
# A ground of its own: it suits the dark mode, too.
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 {height}" role="img" aria-labelledby="title desc"
     font-family="{font}" font-size="13.5" fill="#2c4a40">
  <title id="title">{title}</title>
  <desc id="desc">{figures}.</desc>
  <rect x="1" y="1" width="518" height="{ground}" rx="8" fill="#f7fbf9" stroke="#c9ddd4"/>
"""
ONE_TITLE = '  <text x="{x}" y="{y}" font-size="15" font-weight="600" fill="#14332a">{text}</text>\n'
ONE_GROUP = '  <text x="{x}" y="{y}" font-weight="600">{text}</text>\n'
ONE_BAR = """  <text x="{x}" y="{y}">{label}</text>
  <rect x="{x}" y="{top}" width="{width:.1f}" height="{height}" rx="2" fill="{colour}"/>
  <text x="{right:.1f}" y="{base}">{value}</text>
"""

Row = dict[str, str]


@dataclass(frozen=True)
class Plot:
    """
    What is drawn of a table.

    :param name: The name of the file.
    :param panels: The columns that are drawn, each with its title.
    :param label: The column that names a bar.
    :param group: The column by which bars stand together.
    :param counted: What the numbers of the column that groups count, or that names a bar if none groups.
    """

    name: str
    panels: dict[str, str]
    label: str
    group: str | None = None
    counted: str = ""

    def table(self, tables: Sequence[list[Row]]) -> list[Row] | None:
        """Return the table that has all the columns."""
        wanted = {*self.panels, self.label, *([self.group] if self.group else [])}
        return next((rows for rows in tables if wanted <= rows[0].keys()), None)


PLOTS = (
    Plot("bench-cpu", {"CPU s/min per gate": "CPU seconds per minute for each gate that waits"}, "gates", "N", "gates"),
    Plot(
        "bench-ends",
        {"first to last, s": "Seconds from the first to the last success", "in all": "Workers that each gate takes"},
        "gates",
        "N",
        "gates",
    ),
    Plot(
        "bench-cluster",
        {
            "triggerer": "CPU seconds per minute of the triggerer",
            "triggerer mib": "Memory of the triggerer, MiB",
            "p99 lag ms": "Lag of the triggerer's event loop, 99th percentile, ms",
        },
        "gates",
        counted="gates",
    ),
)


def tables_of(page: str) -> list[list[Row]]:
    """Return the rows of each table of a Markdown page, by the names of the columns."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", page + "\n", re.MULTILINE):
        head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        found.append([dict(zip(head, line, strict=True)) for line in lines])
    return found


def draw(plot: Plot, rows: Sequence[Row]) -> str:
    """Return the picture as SVG."""
    # A kind has its colour in all groups.
    kinds = list(dict.fromkeys(row[plot.label] for row in rows)) if plot.group else []
    y, drawn, figures = 0, "", []
    for column, title in plot.panels.items():
        most = max(map(number, (row[column] for row in rows)))
        drawn += ONE_TITLE.format(x=MARGIN, y=y + TITLE, text=escape(title))
        y += TITLE + 6
        for name, members in _groups(plot, rows):
            if name:
                drawn += ONE_GROUP.format(x=MARGIN, y=y + GROUP - 6, text=escape(name))
                y += GROUP
            for row in members:
                label = row[plot.label] if plot.group else f"{row[plot.label]} {plot.counted}"
                width = max(LONGEST * number(row[column]) / most if most else 0, 1)
                drawn += ONE_BAR.format(
                    x=MARGIN,
                    y=y + 14,
                    label=escape(label),
                    top=y + 19,
                    width=width,
                    height=BAR,
                    right=MARGIN + width + 6,
                    base=y + 30,
                    value=escape(row[column]),
                    colour=COLOURS[kinds.index(row[plot.label]) % len(COLOURS) if kinds else 0],
                )
                figures.append(f"{f'{name}, ' if name else ''}{label}: {row[column]}")
                y += ROW
    height = y + MARGIN
    title = "; ".join(plot.panels.values())
    head = {"title": escape(title), "figures": escape("; ".join(figures)), "ground": height - 2}
    return HEAD.format(height=height, font=FONT, **head) + drawn + "</svg>\n"


def _groups(plot: Plot, rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    if plot.group is None:
        yield "", list(rows)
        return
    group = plot.group
    for key, members in groupby(sorted(rows, key=lambda row: number(row[group])), lambda row: row[group]):
        yield f"{key} {plot.counted}", list(members)


def number(cell: str) -> float:
    """Return the number that a cell begins with."""
    match = re.match(r"[\d,]+(\.\d+)?", cell)
    if match is None:
        raise ValueError(f"docs/benchmarks.md: {cell!r} is no number")
    return float(match[0].replace(",", ""))


def pictures() -> dict[str, str]:
    """Return each picture that can be drawn, by the name of its file."""
    tables = tables_of(PAGE.read_text(encoding="utf-8"))
    found = ((plot, plot.table(tables)) for plot in PLOTS)
    return {f"{plot.name}.svg": draw(plot, rows) for plot, rows in found if rows}


if __name__ == "__main__":
    for file, picture in pictures().items():
        (FOLDER / file).write_text(picture, encoding="utf-8")
        print(f"docs/images/{file}")
