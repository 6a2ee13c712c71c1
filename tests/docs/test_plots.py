"""The plots of the benchmarks are what ``make bench-plots`` draws from the tables of their page."""

from __future__ import annotations

import re

import pytest
from docs.pages import DOCS
from draw_plots import PLOTS, draw, number, pictures, tables_of

PAGE = """
| gates | N | first to last, s | in all |
| --- | --- | --- | --- |
| ours & <others> | 1,000 | 11 | 1 |
| HttpSensor | 10 | 8.5 | 2 |
| ours & <others> | 10 | 0 | 0 |
"""
(GATES,) = [plot for plot in PLOTS if plot.name == "bench-ends"]


def test_they_show_the_figures_of_the_tables():
    drawn = pictures()
    assert {path.name: path.read_text() for path in (DOCS / "images").glob("bench-*.svg")} == drawn
    shown = re.findall(r"^```{image} images/(bench-.*)$", (DOCS / "benchmarks.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(drawn)


def test_bars_stand_together_by_number_and_are_as_long_as_their_figures():
    (table,) = tables_of(PAGE)
    picture = draw(GATES, table)
    ours = "ours &amp; &lt;others&gt;"
    assert (
        f">10 gates, HttpSensor: 8.5; 10 gates, {ours}: 0; 1,000 gates, {ours}: 11; 10 gates, HttpSensor: 2" in picture
    )
    assert re.findall(r'width="([\d.]+)" height="12"', picture) == ["324.5", "1.0", "420.0", "420.0", "1.0", "210.0"]


def test_a_plot_takes_the_table_that_has_its_columns():
    other, table = tables_of(f"| gates |\n| --- |\n| 10 |\n\n{PAGE}")
    assert GATES.table([other, table]) is table
    assert GATES.table([other]) is None


@pytest.mark.parametrize(("cell", "value"), [("0.0041", 0.0041), ("1,234.5", 1234.5), ("64 (3 failed)", 64)])
def test_a_cell_begins_with_a_number(cell, value):
    assert number(cell) == value


def test_a_cell_without_a_number_says_so():
    with pytest.raises(ValueError, match="'many' is no number"):
        number("many")
