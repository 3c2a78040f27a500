"""Prompts on their way into a cache: what all begin with alike once, the rest padded left to end together, a
part at a time if they are long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float

from affekt.engines.engine import Reply
from affekt.engines.token import Token
from affekt.engines.transformers import kv
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.entry import Entry
from affekt.engines.transformers.forward import Outcome
from affekt.engines.transformers.front import common_front, unsteered
from affekt.engines.transformers.grid import Grid, layers_of, probes_of
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
        self._front = _front(core, entries)
        rests = [entry.prompt.ids[self._front :] for entry in entries]
        lengths = [len(rest) for rest in rests]
        width = max(*lengths, SHORTEST) if core.linear else max(lengths)
        self.width = self._front + width
        begun = torch.tensor([entry.prompt.ids[: self._front] for entry in entries], dtype=torch.long)
        self._ids = torch.cat([begun, left(rests, 0, width)], dim=1)
        own = places(lengths, "left", width)
        before = torch.arange(self._front).expand(len(entries), -1)
        self._places = torch.cat([before, torch.where(own < 0, -1, own + self._front)], dim=1)
        self._mask = None if min(lengths) == width else self._places >= 0
        self._edit = BatchEdit([entry.program for entry in entries])
        self._cache = core.new_cache(self.width, max(entry.limit for entry in entries) + 1)
        self._parts: list[Outcome] = []
        rewinding = core.linear and any(entry.rewind for entry in entries)
        self._bounds = _bounds(self._front, self.width, chunk or self.width, core.linear, rewinding)

    def step(self, out: list[Token | Reply]) -> Grid | None:
        """Runs the next part; after the last one, gives the rows with their first tokens, and shows into
        `out`."""
        start, end = next(self._bounds)
        firsts = [rows[0] for rows in self.rows]
        if end == self.width:
            for index, row in enumerate(firsts):
                if row.trail is not None:
                    row.trail.remember(self._cache, index, row.consumed - 1)
        # What all begin with alike and nothing steers is one row's.
        alone = end <= self._front
        ids, own = self._ids[: 1 if alone else None, start:end], self._places[:, start:end]
        if start == self._front and start:
            kv.select(self._cache, torch.zeros(len(firsts), dtype=torch.long, device=self._core.model.device))
        part = self._core.forward(
            ids,
            own[: len(ids)],
            None if self._mask is None or alone else self._mask[:, :end],
            self._cache,
            {} if alone else self._edit.at(own),
            probes_of(firsts),
            every=any(entry.columns is not None for entry in self._entries),
            layers=layers_of(firsts),
        )
        self._parts.append(part)
        return self._settled(part, out) if end == self.width else None

    def _settled(self, last: Outcome, out: list[Token | Reply]) -> Grid:
        if self._front:
            for index, entry in enumerate(self._entries):
                kv.shift(self._cache, index, self._front, self.width - len(entry.prompt))
        places = [index for index, rows in enumerate(self.rows) for _ in rows]
        everyone = [row for rows in self.rows for row in rows]
        scalars = {
            layer: np.concatenate(
                [_spread(part.scalars[layer], len(self.rows)) for part in self._parts], axis=1
            )
            for layer in last.scalars
        }
        for index, rows in enumerate(self.rows):
            for row in rows:
                row.trail = rows[0].trail.copy() if rows[0].trail is not None else None
                row.prompt_scalars = _own(row, scalars, index, self._places[index].numpy() >= 0)
        logits = last.logits
        if len(everyone) > len(self.rows) and logits is not None:
            chosen = torch.tensor(places, device=self._core.model.device)
            kv.select(self._cache, chosen)
            logits = logits[chosen.to(logits.device)]
        grid = Grid(self._core, self._cache, everyone, self.width)
        spread = {layer: values[places] for layer, values in last.scalars.items()}
        kept = {layer: values[places] for layer, values in last.residuals.items()}
        grid.settle(Outcome(logits, spread, kept), out)
        return grid


def _own(
    row: Row,
    scalars: dict[int, Float[np.ndarray, "batch read scalars"]],
    index: int,
    columns: Bool[np.ndarray, " tokens"],
) -> Float[np.ndarray, "own scalars"] | None:
    """What has been read of a row's own prompt, where that is wanted."""
    if row.entry.columns is None or row.entry.probe is None:
        return None
    own: np.ndarray = scalars[row.entry.probe.layer][index, columns]
    return own


def _spread(
    scalars: Float[np.ndarray, "rows tokens scalars"], batch: int
) -> Float[np.ndarray, "batch tokens scalars"]:
    """What was read of the one row that stood for all, for each of them."""
    return np.broadcast_to(scalars, (batch, *scalars.shape[1:]))


def _front(core: Core, entries: Sequence[Entry]) -> int:
    """How many tokens the prompts share that are run once. None where a layer keeps states, which the padding
    between a shared front and a short rest would reach; where a window is so short that the padding would
    take places in it; and where the cache cannot close that gap."""
    window = getattr(core.model.network.config.get_text_config(decoder=True), "sliding_window", None)
    longest = max(len(entry.prompt) for entry in entries)
    if not core.joins or core.linear or (window and longest > window):
        return 0
    reach = [unsteered(entry.program, len(entry.prompt)) for entry in entries]
    return common_front([entry.prompt.ids for entry in entries], reach)


def _bounds(front: int, width: int, chunk: int, linear: bool, last_alone: bool) -> Iterator[tuple[int, int]]:
    """The parts of a prefill; one ends with what all share. Where layers keep states, none but the last is of
    one column."""
    chunk = max(chunk, 2) if linear else max(chunk, 1)
    end = width - 1 if last_alone and width > 1 else width
    edges = [*range(0, front, chunk), *range(front, end, chunk)]
    if linear and len(edges) > 1 and end - edges[-1] == 1:
        edges.pop()
    edges += [end, width] if end < width else [width]
    yield from pairwise(edges)
