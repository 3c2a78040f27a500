"""Choosing the next token of each row; a row's draws depend on its own seed and logits only."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.engines.engine import Sampling

__all__ = ["Chooser", "choose"]

COLD = 1e-5
"""A temperature under it is greedy: the logits divided by it would not be numbers any more."""

FEW = 1024
"""Candidates that nucleus sampling looks at before it sorts the whole vocabulary."""


class Chooser:
    """How one row's tokens are chosen: its sampling and its own stream of random numbers."""

    def __init__(self, sampling: Sampling, choice: int) -> None:
        self.sampling = sampling
        self.greedy = sampling.temperature < COLD
        if not self.greedy:
            seed = secrets.randbits(62) if sampling.seed is None else sampling.seed
            self._random = torch.Generator().manual_seed((seed + choice * 0x9E3779B97F4A7C15) % (1 << 63))

    def pick(self, logits: Float[Tensor, " vocab"]) -> int:
        """Draws one token."""
        probabilities = (logits.float() / self.sampling.temperature).softmax(-1)
        draw = float(torch.rand((), generator=self._random, dtype=torch.float64))
        if self.sampling.top_k == 0 and self.sampling.top_p == 1.0:
            return _nth(probabilities, draw)
        kept, order = self._kept(probabilities)
        return int(order[_nth(kept, draw)])

    def _kept(
        self, probabilities: Float[Tensor, " vocab"]
    ) -> tuple[Float[Tensor, " kept"], Int[Tensor, " kept"]]:
        """The likeliest tokens that `top_k` and `top_p` leave, best first."""
        top_k, top_p = self.sampling.top_k, self.sampling.top_p
        vocab = len(probabilities)
        few = min(top_k or FEW, vocab)
        kept, order = probabilities.topk(few)
        if not top_k and float(kept.sum()) < top_p:
            kept, order = probabilities.sort(descending=True, stable=True)
        if top_k:
            kept = kept / kept.sum()
        if top_p < 1.0:
            before = kept.double().cumsum(-1) - kept
            kept = kept[before < top_p]
        return kept, order[: len(kept)]


def choose(logits: Float[Tensor, "rows vocab"], choosers: Sequence[Chooser | None]) -> list[int]:
    """The next token of every row; any token for a row whose chooser is None."""
    best: list[int] = logits.argmax(-1).tolist()
    return [
        token if chooser is None or chooser.greedy else chooser.pick(logits[row])
        for row, (token, chooser) in enumerate(zip(best, choosers, strict=True))
    ]


def _nth(weights: Float[Tensor, " tokens"], draw: float) -> int:
    """The token at which the running sum of the weights passes `draw` (0 to 1) of their sum."""
    sums = weights.double().cumsum(-1)
    at = int(torch.searchsorted(sums, sums[-1] * draw, right=True))
    return min(at, len(weights) - 1)
