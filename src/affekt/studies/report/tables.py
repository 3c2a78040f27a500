"""The first rows of a study's table, for those who read the page and not the files."""

from __future__ import annotations

from html import escape
from typing import Any

from affekt.reading.sheet import table as drawn
from affekt.studies.result import Table

__all__ = ["preview"]

ROWS = 12
COLUMNS = 8
LONGEST = 80


def preview(table: Table) -> str:
    """A table's first rows, folded; says how many there are and what file has them all."""
    heads = list(table.columns)
    n = max((len(column) for column in table.columns.values()), default=0)
    if not n:
        return ""
    shown = heads[:COLUMNS]
    rows = [[_cell(table.columns[head][at]) for head in shown] for at in range(min(ROWS, n))]
    rest = f", the first {ROWS} rows" if n > ROWS else ""
    rest += f", {COLUMNS} of {len(heads)} columns" if len(heads) > COLUMNS else ""
    return (
        f"<details><summary>Table “{escape(table.name)}”: {n:,} rows{rest}; all in "
        f"{escape(table.name)}.csv</summary>" + drawn(shown, rows, words=len(shown)) + "</details>"
    )


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
