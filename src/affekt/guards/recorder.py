"""A guard that only looks, at what a guard would look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from affekt.engines.token import Token
from affekt.engines.watch import Directive, Watch, WatchRow
from affekt.guards.monitor import Meter, Monitor

__all__ = ["Recorder"]


class Recorder:
    """The highest value of each monitor over a reply (for `below`: minus the lowest), as its one event."""

    hold = 0
    """Tokens that the stream is held back."""
    rewind = 0
    """Tokens that may be dropped."""

    def __init__(self, monitors: Sequence[Monitor]) -> None:
        self._monitors = tuple(monitors)

    def watch(self, request: str, choice: int, concepts: tuple[str, ...]) -> Watch:  # noqa: ARG002
        """The recorder of one reply."""
        return _Recording([(monitor, monitor.meter(concepts)) for monitor in self._monitors])


class _Recording:
    def __init__(self, meters: Sequence[tuple[Monitor, Meter]]) -> None:
        self._meters = meters
        self._highest = {monitor.name: -math.inf for monitor, _ in meters}

    @property
    def events(self) -> tuple[Mapping[str, float], ...]:
        return (dict(self._highest),)

    def prompt_end(self, row: WatchRow) -> Directive | None:
        self._look(row, prompt_end=True)
        return None

    def token(self, row: WatchRow, token: Token) -> Directive | None:  # noqa: ARG002
        if row.role != "special":
            self._look(row, prompt_end=False)
        return None

    def _look(self, row: WatchRow, prompt_end: bool) -> None:
        for monitor, meter in self._meters:
            if (monitor.position == "prompt_end") == prompt_end:
                value = monitor.sign * meter.add(row.z)
                highest = self._highest[monitor.name]
                self._highest[monitor.name] = value if math.isnan(value) else max(highest, value)
