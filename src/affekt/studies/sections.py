"""Sections of the quality card as studies: what the card measures is measured once, in one place."""

from __future__ import annotations

from typing import Any

from affekt.quality.figure import Figure
from affekt.quality.section import Section
from affekt.studies.result import Table

__all__ = ["figure_of", "table_of"]


def table_of(name: str, section: Section) -> Table:
    """A section's table, each figure as value, low, high and n."""
    columns: dict[str, list[Any]] = {}
    for at, head in enumerate(section.columns):
        cells = [row[at] for row in section.rows]
        if any(isinstance(cell, Figure) for cell in cells):
            for part in ("value", "low", "high", "n"):
                columns[f"{head or 'figure'}: {part}"] = [
                    getattr(cell, part) if isinstance(cell, Figure) else None for cell in cells
                ]
        else:
            columns[head or "row"] = [str(cell) for cell in cells]
    return Table(name, columns)


def figure_of(section: Section, row: int, column: int) -> Figure:
    """A cell that must be a figure."""
    cell = section.rows[row][column]
    if not isinstance(cell, Figure):
        raise TypeError(f"{section.title}: row {row}, column {column} is {cell!r}, not a figure")
    return cell
