"""
Draw docs/images/rooms.svg, the picture of the package's rooms, from the floors of tests/test_rooms.py.

``PYTHONPATH=tests python scripts/draw_rooms.py``
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "rooms.svg"
WIDTH, HEIGHT, GAP = 400, 36, 8
MOST_IN_A_ROW = 3

FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 540 {height}" role="img" aria-labelledby="title desc"
     font-family="{font}" font-size="15" text-anchor="middle">
  <title id="title">The rooms of the package</title>
  <desc id="desc">Floors from the ground up: a module imports from its own room and from the floors below.
    The sandbox stands apart.</desc>
"""
BOX = """    <rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{line}"/>
    <text x="{middle}" y="{base}" fill="#14332a">{name}</text>
"""
GREEN = {"fill": "#e3f2ec", "line": "#1f6f54"}
YELLOW = {"fill": "#fff4dc", "line": "#b07d16"}


def draw(floors: Sequence[Collection[str]], apart: str) -> str:
    """
    Return the picture.

    :param floors: The names of the rooms of each floor, from the ground up.
    :param apart: The room that stands apart.
    """
    y, drawn = 10, ""
    for floor in reversed(floors):
        rooms = sorted(floor)
        drawn += '  <g class="floor">\n'
        for begin in range(0, len(rooms), MOST_IN_A_ROW):
            drawn += _row(rooms[begin : begin + MOST_IN_A_ROW], y)
            y += HEIGHT + GAP
        drawn += "  </g>\n"
    drawn += f'  <g class="apart">\n{_box(apart, 430, 10, 100, y - GAP - 10, YELLOW)}  </g>\n'
    return HEAD.format(height=y + 2, font=FONT) + drawn + "</svg>\n"


def _row(rooms: Sequence[str], y: int) -> str:
    # Long names have wide rooms.
    letters = sum(len(name) + 2 for name in rooms)
    left, drawn = WIDTH - GAP * (len(rooms) - 1), ""
    x = 10
    for name in rooms:
        width = round(left * (len(name) + 2) / letters)
        drawn += _box(name, x, y, width, HEIGHT, GREEN)
        x += width + GAP
    return drawn


def _box(name: str, x: int, y: int, width: int, height: int, colours: dict[str, str]) -> str:
    middle, base = x + width // 2, y + height // 2 + 5
    return BOX.format(name=name, x=x, y=y, width=width, height=height, middle=middle, base=base, **colours)


if __name__ == "__main__":
    from test_rooms import APART, FLOORS  # type: ignore[import-not-found]  # A script finds it by its PYTHONPATH.

    PICTURE.write_text(draw(FLOORS, APART), encoding="utf-8")
