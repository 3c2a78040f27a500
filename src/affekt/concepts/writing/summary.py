"""What a run has made: how much, how evenly, what was refused and why, who wrote it, how varied the names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from affekt.concepts.writing.folder import Folder
from affekt.concepts.writing.kinds import body_of
from affekt.concepts.writing.names import Names
from affekt.concepts.writing.order import Order, cell_key

__all__ = ["Summary", "summarised"]


@dataclass(frozen=True)
class Summary:
    """Counts over a folder and an order."""

    wanted: int
    """Texts that the order wants."""
    have: int
    """Of these, how many there are."""
    beyond: int
    """Texts of cells that the order does not name."""
    calls: int
    """Calls in all."""
    refused: Mapping[str, int]
    """Reason -> texts or replies refused."""
    examples: Mapping[str, str]
    """Reason -> the last one refused for it."""
    writers: Mapping[str, int]
    """Writer -> texts taken."""
    short: tuple[str, ...]
    """Cells with fewer texts than wanted."""
    names: Names
    """How often each name stands in the texts."""
    openings: tuple[tuple[str, float], ...]
    """The most frequent first three words, with their share of the texts."""


def summarised(folder: Folder, order: Order) -> Summary:
    """Counts over everything in the folder."""
    have = Counter(call.cell for call in folder.calls for _ in call.records)
    keys = [cell_key(cell) for cell in order.cells]
    refused = Counter(one.reason for call in folder.calls for one in call.refused)
    bodies = [body_of(record) for record in folder.records()]
    openings = Counter(" ".join(body.split()[:3]) for body in bodies)
    writers: Counter[str] = Counter()
    for call in folder.calls:
        writers[call.writer] += len(call.records)
    within = sum(min(have[key], order.texts) for key in keys)
    return Summary(
        wanted=order.wanted,
        have=within,
        beyond=len(bodies) - within,
        calls=len(folder.calls),
        refused=dict(refused.most_common()),
        examples={one.reason: one.detail for call in folder.calls for one in call.refused},
        writers=dict(writers.most_common()),
        short=tuple(key for key in keys if have[key] < order.texts),
        names=Names.of(bodies),
        openings=tuple((words, count / len(bodies)) for words, count in openings.most_common(3) if count > 1),
    )
