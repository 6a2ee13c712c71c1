"""
The fault table, whole; and what docs/faults.md shows of it.

``PYTHONPATH=tests python -m faults.table`` makes the tables in docs/faults.md anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from faults import bodies, rows
from faults.cells import ENDS, Asks, Row

from airflow_provider_revor import exceptions as e

SECTIONS = {
    "Too many requests": rows.RATE_LIMITS,
    "Revor cannot answer": rows.FAILURES,
    "No whole answer": rows.LOST,
    "TLS": rows.TLS,
    "Redirects": rows.REDIRECTS,
    "Revor refuses": rows.REFUSALS,
    "Something else responds": [*rows.STRANGERS, *bodies.NOT_REVORS],
    "A list or a job that is not as documented": bodies.BROKEN,
    "Too much": bodies.TOO_MUCH,
    "Strange, and fine": bodies.STRANGE,
}
ROWS = [row for section in SECTIONS.values() for row in section]

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- made by tests/faults -->", "<!-- end of what tests/faults made -->"
_COLUMNS = ("what happens", "you see", "hook, list operator, dispatch", "gate, job sensor", "what to do")


def render() -> str:
    """Return the tables in Markdown."""
    lines = [BEGIN]
    for title, section in SECTIONS.items():
        advice = {row.do for row in section}
        lines += ["", f"### {title}", ""]
        if len(advice) == 1:
            lines += [f"What to do: {advice.pop()}", ""]
            lines += _table([_cells(row)[:-1] for row in section])
        else:
            lines += _table([_cells(row) for row in section])
    return "\n".join([*lines, "", END])


def _table(cells: list[tuple[str, ...]]) -> list[str]:
    head = _COLUMNS[: len(cells[0])]
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *cells)]


def remade(page: str) -> str:
    """Return the page with its tables as the rows say them."""
    before, _, rest = page.partition(BEGIN)
    return before + render() + rest.partition(END)[2]


def _cells(row: Row) -> tuple[str, ...]:
    sees = f"`{row.error.__name__}`: {_words(row.says)}" if row.error else "nothing: it is read"
    return row.name, sees, _asks(row), _waits(row), row.do


def _words(says: str) -> str:
    """Return what a message says, out of a regular expression for it: of alternatives, the first."""
    plain = re.sub(r"(?<!\\)\(([^()|]*)\|[^()]*\)", r"\1", says).partition("|")[0]
    plain = plain.replace(".*", "…").replace(r"\d+", "N").replace("s?", "s")
    return re.sub(r"\\(.)", r"\1", plain).replace("`", "")


def _asks(row: Row) -> str:
    if row.error is None:
        return "1 request"
    if row.hook.requests == 1:
        return "1 request, then the error"
    return f"{row.hook.requests} requests within {row.hook.span:.0f} s, then the error"


def _waits(row: Row) -> str:
    heals = row.error is None or issubclass(row.error, e.RevorTransientError)
    if row.wait.requests == ENDS.requests:
        return "goes on" if heals else "fails at once, without retries" if _final(row) else "fails"
    return f"waits; asks again after {_pause(row.wait)}"


def _final(row: Row) -> bool:
    from airflow.providers.common.compat.sdk import AirflowFailException

    return row.error is not None and issubclass(row.error, AirflowFailException)


def _pause(wait: Asks) -> str:
    # The first look goes well; two more meet the fault.
    pause = (wait.span - 60) / 2
    return "a day" if pause == 86_400 else f"{pause:.0f} s"


if __name__ == "__main__":
    PAGE.write_text(remade(PAGE.read_text()))
