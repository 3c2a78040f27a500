"""A guard whose watch over each reply can be asked afterwards what it saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from affekt.engines.watch import Watch
from affekt.guards.watch import Guardian, Seen, Vigil

__all__ = ["Overseen", "heat"]

AROUND = 48
"""Tokens before and after a trip that its heat map shows."""


class Overseen:
    """The guard of one request; it does what the guardian does."""

    def __init__(self, guardian: Guardian) -> None:
        self._guardian = guardian
        self._vigils: dict[int, Vigil] = {}

    @property
    def hold(self) -> int:
        """By how many tokens the stream is held back."""
        return self._guardian.hold

    @property
    def rewind(self) -> int:
        """The most tokens that may be dropped at once."""
        return self._guardian.rewind

    def watch(self, request: str, choice: int, concepts: tuple[str, ...]) -> Watch:
        """The guard of one reply."""
        vigil = self._guardian.watch(request, choice, concepts)
        self._vigils[choice] = vigil
        return vigil

    def extremes(self, choice: int) -> dict[str, float]:
        """Per monitor its worst value over a reply: the highest, or the lowest for `below`."""
        vigil = self._vigils.get(choice)
        if vigil is None:
            return {}
        signs = {wire.monitor.name: wire.monitor.sign for wire in self._guardian.wires}
        found = {name: signs[name] * score for name, score in vigil.scores.items()}
        return {name: value for name, value in found.items() if abs(value) < float("inf")}

    def watched(self, monitor: str) -> tuple[str, ...]:
        """The concepts or the axis that a monitor watches."""
        for wire in self._guardian.wires:
            if wire.monitor.name == monitor:
                what = wire.monitor.what
                return (what,) if isinstance(what, str) else tuple(what)
        return ()

    def seen(self, choice: int) -> tuple[Seen, ...]:
        """The tokens of a reply as the guard saw them."""
        vigil = self._vigils.get(choice)
        return vigil.seen if vigil is not None else ()


def heat(event: Mapping[str, Any], seen: tuple[Seen, ...]) -> dict[str, Any] | None:
    """The monitor's values over the tokens around a trip, for a heat map; None where it has none there.

    Args:
        event: the trip, as `Event.to_dict` gives it.
        seen: the reply's tokens.

    Returns:
        `first`, the place of the first token in the reply; `z`, a value or None for each; `text`, the tokens.
    """
    place = event["token"] or 0
    first = max(0, place - AROUND)
    tokens = seen[first : place + AROUND + 1]
    values = [token.values.get(event["monitor"]) for token in tokens]
    if all(value is None for value in values):
        return None
    z = [None if value is None or abs(value) == float("inf") else round(value, 3) for value in values]
    return {"first": first, "z": z, "text": [token.text for token in tokens]}
