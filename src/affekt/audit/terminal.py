"""A comparison in the terminal."""

from __future__ import annotations

from textwrap import shorten

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from affekt.audit.comparison import ALL, Comparison, Shift
from affekt.audit.measure import VIEWS
from affekt.audit.wording import LIMITS, headline, made_of, meaning, ranked, standing

__all__ = ["render"]

ROWS = 8
"""Rises and falls shown for each view."""

CARRIED = 2
"""Shifts of each view for which a prompt is named."""

WIDTH = 70
"""Characters of that prompt."""


def render(comparison: Comparison, console: Console) -> None:
    """Headline, the farthest shifts of each view, clusters and axes, and what to know."""
    console.print(f"\n[bold]{comparison.base} → {comparison.tuned}[/bold]", highlight=False)
    console.print(standing(comparison), highlight=False)
    console.print(headline(comparison), highlight=False)
    for view in filter(comparison.measured, comparison.views):
        console.print(_table(comparison, view))
    for line in (*_carried(comparison), *meaning(comparison), *comparison.notes):
        console.print(f"• {line}", highlight=False)
    console.print(f"[dim]{LIMITS}[/dim]", highlight=False)


def _table(comparison: Comparison, view: str) -> Table:
    arms = made_of(comparison, view) or "none: shifts beyond chance"
    table = Table(
        title=VIEWS[view],
        caption=f"▲▼ called; floors: the shift in noise floors ({arms})",
        title_justify="left",
        caption_justify="left",
        box=SIMPLE,
    )
    table.add_column("", no_wrap=True, max_width=25)
    for name in (comparison.against, "tuned", "shift", "95 %", "floors"):
        table.add_column(name, justify="right", no_wrap=True)
    shifts = comparison.shifts(view, ALL)
    called = ranked(comparison, view)
    chosen = called if called else sorted(shifts, key=lambda one: -abs(one.shift))[:4]
    up = [one for one in chosen if one.shift > 0][:ROWS]
    down = [one for one in chosen if one.shift <= 0][:ROWS]
    rest = [one for kind in ("cluster", "axis") for one in comparison.shifts(view, ALL, kind)]
    rest.sort(key=lambda one: not one.called)
    for section in (up, down, rest):
        for one in section:
            table.add_row(*_row(one))
        table.add_section()
    return table


def _carried(comparison: Comparison) -> list[str]:
    """For the farthest called shifts of each view, the message that moved most."""
    lines = []
    for view in comparison.views:
        called = {one.name for one in ranked(comparison, view)}
        own = [one for one in comparison.carriers if one.view == view and one.name in called]
        first = {one.name: one for one in reversed(own)}
        shown = list(dict.fromkeys(one.name for one in own))[:CARRIED]
        lines += [
            f"{name} at {VIEWS[view]} is carried most by {first[name].prompt}: "
            f"“{shorten(first[name].text, WIDTH, placeholder=' …')}” ({first[name].difference:+.2f})"
            for name in shown
        ]
    return lines


def _row(one: Shift) -> tuple[str, ...]:
    mark = "" if not one.called else "[red]▲[/red] " if one.shift > 0 else "[blue]▼[/blue] "
    return (
        f"{mark}{one.name}",
        f"{one.base:+.2f}",
        f"{one.tuned:+.2f}",
        f"{one.shift:+.2f}",
        f"{one.low:+.2f} to {one.high:+.2f}",
        f"{one.units:+.1f}" if one.floor else "–",
    )
