"""How far a long piece of work has come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

__all__ = ["Progress", "progress_bar"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and how much there is."""


@contextmanager
def progress_bar(unit: str = "characters") -> Iterator[Progress]:
    """A bar with the time left on a terminal, a line a stage elsewhere; both on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        stages: set[str] = set()

        def line(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages.add(stage)
                rest = f", {done / total:.0%} done before" if done * 100 >= total > 0 else ""
                print(f"{stage}: {total:,} {unit}{rest}", file=sys.stderr)

        yield line
        return
    columns = (TextColumn("{task.description:<20}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console) as bars:
        tasks = {}

        def bar(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield bar
