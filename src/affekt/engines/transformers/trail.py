"""What a row's states of linear attention were before each of its latest tokens, for a row that may go
back."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from transformers.cache_utils import Cache

from affekt.engines.transformers.kv import linear

__all__ = ["Trail"]


class Trail:
    """One row's earlier states. Attention needs none of this: it forgets a token when its column goes."""

    def __init__(self, steps: int) -> None:
        """Keeps what it takes to go back by `steps` tokens."""
        self._steps = steps
        self._before: dict[int, list[Tensor]] = {}

    def copy(self) -> Trail:
        """The same for another row that has come the same way."""
        twin = Trail(self._steps)
        twin._before = dict(self._before)
        return twin

    def remember(self, cache: Cache, row: int, position: int) -> None:
        """Called before the forward that consumes the row's token at `position`."""
        self._before[position] = [state[row].clone() for state in _states(cache)]
        for old in [at for at in self._before if at < position - self._steps]:
            del self._before[old]

    def back(self, cache: Cache, row: int, position: int) -> None:
        """Gives the row the states that it had before its token at `position`; none is all zeros."""
        before = self._before[position]
        for i, state in enumerate(_states(cache)):
            state[row] = before[i] if before else 0


def _states(cache: Cache) -> Iterator[Tensor]:
    for layer in linear(cache):
        for states in (layer.conv_states, layer.recurrent_states):
            yield from (state for state in states.values() if state is not None)
