"""docs/faults.md says what the rows say, which is what the tests see."""

from __future__ import annotations

from faults.table import PAGE, ROWS, remade


def test_the_tables_are_made_of_the_rows():
    page = PAGE.read_text()
    assert page == remade(page), "Make them anew: PYTHONPATH=tests python -m faults.table"


def test_each_row_has_a_name_of_its_own_and_says_what_to_do():
    assert len({row.slug for row in ROWS}) == len(ROWS)
    assert all(row.do and row.says for row in ROWS if row.error)
