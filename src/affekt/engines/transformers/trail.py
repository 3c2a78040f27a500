"""The states of linear attention before each of the latest forwards, for rows that may go back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor
from transformers.cache_utils import Cache

from affekt.engines.transformers.kv import linear

__all__ = ["Trail"]

States: TypeAlias = list[Tensor]
"""One cache's states, batch first, in a fixed order; empty before its first forward."""


class Trail:
    """What a cache's states were. Only these layers need it: attention forgets a token when its column
    goes."""

    def __init__(self, steps: int) -> None:
        self._steps: deque[States] = deque(maxlen=steps)

    def remember(self, cache: Cache) -> None:
        """Called before each forward."""
        self._steps.append([state.clone() for state in _states(cache)])

    def select(self, rows: Int[Tensor, " rows"]) -> None:
        """Keeps these rows, as `kv.select` does."""
        self._each([[state.index_select(0, rows) for state in step] for step in self._steps])

    def absorb(self, other: Trail, own: int, more: int) -> None:
        """Takes the rows of another trail in; their latest forward stands beside the latest of its own.

        Args:
            other: the trail of the rows that join.
            own: how many rows it had.
            more: how many join.
        """
        ours, theirs = list(self._steps)[::-1], list(other._steps)[::-1]
        depth = max(len(ours), len(theirs))
        ours += [[]] * (depth - len(ours))
        theirs += [[]] * (depth - len(theirs))
        steps = [_side_by_side(a, own, b, more) for a, b in zip(ours, theirs, strict=True)]
        self._steps = deque(steps[::-1], maxlen=max(self._steps.maxlen or 0, other._steps.maxlen or 0))

    def back(self, cache: Cache, row: int, forwards: int) -> None:
        """Gives one row the states it had before its latest `forwards` forwards."""
        step = self._steps[-forwards]
        for i, state in enumerate(_states(cache)):
            state[row] = step[i][row] if step else 0

    def _each(self, steps: list[States]) -> None:
        self._steps = deque(steps, maxlen=self._steps.maxlen)


def _side_by_side(ours: States, own: int, theirs: States, more: int) -> States:
    """Two steps as one; where one of them is unknown or before the first forward, its rows are zero."""
    if not ours and not theirs:
        return []
    ours = ours or [state.new_zeros((own, *state.shape[1:])) for state in theirs]
    theirs = theirs or [state.new_zeros((more, *state.shape[1:])) for state in ours]
    return [torch.cat([a, b]) for a, b in zip(ours, theirs, strict=True)]


def _states(cache: Cache) -> Iterator[Tensor]:
    for layer in linear(cache):
        for states in (layer.conv_states, layer.recurrent_states):
            yield from (state for state in states.values() if state is not None)
