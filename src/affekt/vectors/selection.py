"""Choosing the read-out and the layer by leaving forms out, never by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.vectors.directions import balanced, comparable, noise, remove, unit

__all__ = ["SHRINKAGES", "Held", "choose", "held_out"]

SHRINKAGES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Candidates for the shrinkage of the discriminant; the paper's vectors are the candidate `None`."""


@dataclass(frozen=True)
class Held:
    """Accuracy on cells that had no part in the vectors, for one layer and one read-out."""

    layer: int
    """The layer."""
    shrinkage: float | None
    """Shrinkage of the discriminant; None for the difference of means without neutral components."""
    top1: float
    """Share of held-out cells whose own concept scores highest, averaged over folds."""
    top5: float
    """Share whose own concept is among the five highest."""
    n: int
    """Number of held-out cells."""
    error: float
    """Standard error of `score`: binomial within a fold, top-1 and top-5 taken as one measurement."""

    @property
    def score(self) -> float:
        """What read-outs are compared by: the mean of top-1 and top-5."""
        return (self.top1 + self.top5) / 2


def held_out(
    means: Float[Tensor, "concepts cells d_model"],
    folds: Sequence[Sequence[int]],
    layer: int,
    neutral: Float[Tensor, "d_model components"],
) -> list[Held]:
    """Leave each fold of cells out in turn and classify its cells by vectors from the others.

    A held-out cell is centred on its own mean over concepts, as vectors are. Concepts that the other folds do
    not know, and folds that leave fewer than two, are left out.

    Args:
        means: mean of each cell, NaN where it is empty.
        folds: the sets of cells.
        layer: the layer they are of, to be named in the result.
        neutral: components that the paper's vectors are without.
    """
    ranks: dict[float | None, list[Int[Tensor, " _"]]] = {s: [] for s in (None, *SHRINKAGES)}
    filled = ~means[..., 0].isnan()
    for fold in folds:
        kept = [cell for cell in range(means.shape[1]) if cell not in set(fold)]
        known = comparable(filled[:, kept]).any(1)
        test = means[known][:, list(fold)]
        there = comparable(~test[..., 0].isnan())
        if int(known.sum()) < 2 or not bool(there.any()):
            continue
        vectors, scatter = balanced(means[known][:, kept])
        within = noise(scatter)
        rows = (test - test.nanmean(0, keepdim=True))[there]
        truth = torch.arange(len(test))[:, None].expand_as(there)[there]
        for shrinkage, into in ranks.items():
            weights = (
                remove(vectors, neutral) if shrinkage is None else within.power(vectors, -1.0, shrinkage)
            )
            into.append(_ranks(rows @ unit(weights).T, truth))
    return [_held(layer, shrinkage, of_folds) for shrinkage, of_folds in ranks.items() if of_folds]


def choose(scores: Sequence[Held], n_layers: int, target: float = 2 / 3) -> Held:
    """The read-out and layer: of all within one standard error of the best, the layer nearest to `target` of
    depth, and at that layer the read-out that scores best."""
    best = max(scores, key=lambda held: held.score)
    good = [held for held in scores if held.score >= best.score - best.error]
    nearest = min(good, key=lambda held: (abs((held.layer + 1) / n_layers - target), -held.score)).layer
    return max((held for held in good if held.layer == nearest), key=lambda held: held.score)


def _ranks(scores: Float[Tensor, "rows concepts"], truth: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
    """How many other concepts score at least as high as a row's own; a tie is no success."""
    own = scores.gather(1, truth[:, None])
    return (~(scores < own)).sum(1) - 1


def _held(layer: int, shrinkage: float | None, ranks: Sequence[Int[Tensor, " _"]]) -> Held:
    top1, top5 = (torch.stack([(fold < k).double().mean() for fold in ranks]) for k in (1, 5))
    score = (top1 + top5) / 2
    sizes = torch.tensor([len(fold) for fold in ranks])
    error = (score * (1 - score) / sizes).clamp_min(0).sum().sqrt() / len(ranks)
    return Held(layer, shrinkage, float(top1.mean()), float(top5.mean()), int(sizes.sum()), float(error))
