"""Prompts on their way into a cache, padded left to end together, a part of them at a time if they are
long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float

from affekt.engines.engine import Reply, Token
from affekt.engines.transformers import kv
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.entry import Entry
from affekt.engines.transformers.forward import Outcome
from affekt.engines.transformers.grid import Grid, probes_of
from affekt.engines.transformers.pad import left, places
from affekt.engines.transformers.row import Row
from affekt.steering.edit import BatchEdit

__all__ = ["Filling"]

SHORTEST = 3
"""Least columns where layers keep states: they take the padding of a forward of one column for a token."""


class Filling:
    """Requests whose prompts are being run; each prompt once, for all of its request's replies."""

    def __init__(self, core: Core, entries: Sequence[Entry], chunk: int | None) -> None:
        """Prepares the prompts; nothing is run yet.

        Args:
            core: the engine's inside.
            entries: the requests.
            chunk: most columns of one forward; None runs all at once.
        """
        self._core = core
        self.rows = [[Row(core, entry, choice) for choice in range(entry.request.n)] for entry in entries]
        self._entries = list(entries)
        lengths = [len(entry.prompt) for entry in entries]
        self.width = max(*lengths, SHORTEST) if core.linear else max(lengths)
        self._ids = left([entry.prompt.ids for entry in entries], 0, self.width)
        self._places = places(lengths, "left", self.width)
        self._mask = None if min(lengths) == self.width else self._places >= 0
        self._edit = BatchEdit([entry.program for entry in entries])
        self._cache = core.new_cache(self.width, max(entry.limit for entry in entries) + 1)
        self._parts: list[Outcome] = []
        rewinding = core.linear and any(entry.rewind for entry in entries)
        self._bounds = _bounds(self.width, chunk or self.width, core.linear, rewinding)

    def step(self, out: list[Token | Reply]) -> Grid | None:
        """Runs the next part; after the last one, gives the rows with their first tokens, and shows into
        `out`."""
        start, end = next(self._bounds)
        firsts = [rows[0] for rows in self.rows]
        if end == self.width:
            for index, row in enumerate(firsts):
                if row.trail is not None:
                    row.trail.remember(self._cache, index, row.consumed - 1)
        own = self._places[:, start:end]
        part = self._core.forward(
            self._ids[:, start:end],
            own,
            None if self._mask is None else self._mask[:, :end],
            self._cache,
            self._edit.at(own),
            probes_of(firsts),
            every=any(entry.columns is not None for entry in self._entries),
        )
        self._parts.append(part)
        return self._settled(part, out) if end == self.width else None

    def _settled(self, last: Outcome, out: list[Token | Reply]) -> Grid:
        places = [index for index, rows in enumerate(self.rows) for _ in rows]
        everyone = [row for rows in self.rows for row in rows]
        scalars = {
            layer: np.concatenate([part.scalars[layer] for part in self._parts], axis=1)
            for layer in last.scalars
        }
        for index, rows in enumerate(self.rows):
            for row in rows:
                row.trail = rows[0].trail.copy() if rows[0].trail is not None else None
                row.prompt_scalars = _own(row, scalars, index)
        logits = last.logits
        if len(everyone) > len(self.rows) and logits is not None:
            chosen = torch.tensor(places, device=self._core.model.device)
            kv.select(self._cache, chosen)
            logits = logits[chosen.to(logits.device)]
        grid = Grid(self._core, self._cache, everyone, self.width)
        spread = {layer: values[places] for layer, values in last.scalars.items()}
        grid.settle(Outcome(logits, spread), out)
        return grid


def _own(
    row: Row, scalars: dict[int, Float[np.ndarray, "batch tokens scalars"]], index: int
) -> Float[np.ndarray, "own scalars"] | None:
    """What has been read of a row's own prompt, where that is wanted."""
    if row.entry.columns is None or row.entry.probe is None:
        return None
    own: np.ndarray = scalars[row.entry.probe.layer][index, -len(row.entry.prompt) :]
    return own


def _bounds(width: int, chunk: int, linear: bool, last_alone: bool) -> Iterator[tuple[int, int]]:
    """The parts of a prefill. Where layers keep states, none but the last is of one column."""
    chunk = max(chunk, 2) if linear else max(chunk, 1)
    end = width - 1 if last_alone and width > 1 else width
    edges = list(range(0, end, chunk))
    if linear and len(edges) > 1 and end - edges[-1] == 1:
        edges.pop()
    edges += [end, width] if end < width else [width]
    yield from pairwise(edges)
