"""A section of the card: one question, a table of figures, and what they say in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from affekt.quality.figure import Figure

__all__ = ["Cell", "Section", "unmeasured"]

Cell: TypeAlias = Figure | str
"""What stands in a table: a figure, or words."""


@dataclass(frozen=True)
class Section:
    """One part of the card."""

    title: str
    """What is asked."""
    verdict: str
    """What the figures say, in a sentence; a null result says that it is one."""
    columns: tuple[str, ...] = ()
    """Heads of the table."""
    rows: tuple[tuple[Cell, ...], ...] = ()
    """Its rows, as long as `columns` each."""
    notes: tuple[str, ...] = ()
    """How it was measured, and what to beware of."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Everything behind the table, as JSON values."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "title": self.title,
            "verdict": self.verdict,
            "columns": list(self.columns),
            "rows": [[c.to_dict() if isinstance(c, Figure) else c for c in row] for row in self.rows],
            "notes": list(self.notes),
            "data": dict(self.data),
        }


def unmeasured(title: str, why: str, notes: Sequence[str] = ()) -> Section:
    """A section that could not be measured, and why."""
    return Section(title, f"Not measured: {why}.", notes=tuple(notes))
