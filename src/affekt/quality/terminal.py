"""The card in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from affekt.quality.figure import shown
from affekt.quality.markdown import facts
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["render", "show"]


def render(
    vectors: ConceptVectors, keys: Sequence[str] | None = None, console: Console | None = None
) -> None:
    """Print the card of a set of vectors.

    Args:
        vectors: with the card.
        keys: sections to print; by default all that were measured.
        console: where to.
    """
    console = console or Console()
    sections: Mapping[str, Sequence[Mapping[str, Any]]] = vectors.card.get("sections", {})
    console.print(Text(" · ".join(f"{name} {value}" for name, value in facts(vectors)[:5]), style="dim"))
    for key, parts in sections.items():
        if keys is not None and key not in keys:
            continue
        for section in parts:
            show(section, console)


def show(section: Mapping[str, Any], console: Console) -> None:
    """Print one section, as `Section.to_dict` gives it."""
    console.print()
    console.print(Text(section["title"], style="bold"))
    console.print(Text(section["verdict"], style="yellow" if _null(section["verdict"]) else "green"))
    if section["rows"]:
        console.print(_table(section))
    for note in section["notes"]:
        console.print(Text(note, style="dim"))


def _table(section: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold dim")
    for i, name in enumerate(section["columns"]):
        table.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in section["rows"]:
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: Mapping[str, Any] | str) -> Text:
    if isinstance(value, str):
        return Text(value)
    text = Text(shown(value))
    text.append(f" n={value['n']}", style="dim")
    return text


def _null(verdict: str) -> bool:
    return any(word in verdict for word in (" not ", "Not ", " no ", "LESS", "noise", "too high"))
