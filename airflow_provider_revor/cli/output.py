"""How the command line prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def print_rows(rows: Sequence[dict[str, Any]], output: str) -> None:
    """
    Print rows as Airflow's own commands do.

    :param rows: Plain JSON, the same members in each.
    :param output: ``table``, ``json``, ``yaml`` or ``plain``.
    """
    if output == "json":
        # What a terminal would obey, or cannot show, is escaped.
        text = json.dumps(rows, ensure_ascii=False)
        print("".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text))
        return
    if output == "yaml":
        from airflow.utils import yaml

        print(yaml.safe_dump(list(rows), sort_keys=False, allow_unicode=True), end="")
        return
    from airflow.cli.simple_table import AirflowConsole
    from rich.markup import escape

    texts = [{name: _text(value) for name, value in row.items()} for row in rows]
    if output == "table":
        # What Revor calls an account is not markup.
        texts = [{name: escape(text) for name, text in row.items()} for row in texts]
    AirflowConsole(show_header=True).print_as(texts, output)


def print_error(text: str) -> None:
    """
    Print to standard error.

    :param text: What is wrong.
    """
    print(text, file=sys.stderr)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return "" if value is None else str(value)
