"""Residuals of many sources, pooled where they are: no logits, no block deeper than needed, little
padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts.source import Source
from affekt.engines.engine import Collected
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.pad import batches, right
from affekt.engines.transformers.ready import picked_of
from affekt.models.model import Model
from affekt.models.prompt import Encoded
from affekt.models.residual import capture, run_to

__all__ = ["collect"]

WINDOW = 1024
"""Sources encoded at a time: enough to sort by length, few enough for a corpus of any size."""


def collect(
    core: Core,
    sources: Sequence[Source | Encoded],
    layers: Sequence[int],
    pick: Callable[[Encoded], Sequence[int]],
    mean: bool,
) -> Iterator[Collected]:
    """The collect verb; see `Engine.collect`.

    Args:
        core: the engine's inside.
        sources: texts, chats, or either already encoded.
        layers: layers wanted, in the order of `values`.
        pick: chooses tokens by their indices.
        mean: one row, the mean of the picked tokens, instead of a row for each.

    Raises:
        PromptError: for a source that is empty or longer than the context; says which one.
        IndexError: for a layer that the model has not, or a pick that the source has not.
    """
    model = core.model
    numbered = iter(enumerate(sources))
    while window := list(islice(numbered, WINDOW)):
        kept: list[tuple[int, Encoded, list[int]]] = []
        for index, source in window:
            encoded, picked = picked_of(model, source, index, pick)
            if not picked:
                empty = torch.empty(len(layers), 0, model.identity.d_model)
                yield Collected(index, empty, 0)
            else:
                # No token after the last one picked is needed.
                kept.append((index, encoded, picked))
        lengths = [max(picked) + 1 for _, _, picked in kept]
        for batch in batches(lengths, core.budget):
            with core.turn():
                pooled = _run(model, [kept[i] for i in batch], layers, mean)
            counts = [1 if mean else len(kept[i][2]) for i in batch]
            values = [part.clone() for part in torch.split(pooled, counts, dim=1)]
            for i, own in zip(batch, values, strict=True):
                yield Collected(kept[i][0], own, len(kept[i][2]))


def _run(
    model: Model, rows: Sequence[tuple[int, Encoded, list[int]]], layers: Sequence[int], mean: bool
) -> Float[Tensor, "layers rows d_model"]:
    """One batch's residuals at the picked tokens, on the CPU."""
    counts = [len(picked) for _, _, picked in rows]
    ids = right([encoded.ids[: max(picked) + 1] for _, encoded, picked in rows], 0).to(model.device)
    row = torch.tensor([r for r, count in enumerate(counts) for _ in range(count)], device=model.device)
    column = torch.tensor([at for _, _, picked in rows for at in picked], device=model.device)
    pooled: dict[int, Tensor] = {}

    def take(layer: int, residual: Float[Tensor, "batch tokens d_model"]) -> None:
        there = residual.device
        flat = residual[row.to(there), column.to(there)].float()
        if mean:
            sums = flat.new_zeros((len(rows), flat.shape[-1])).index_add_(0, row.to(there), flat)
            flat = sums / torch.tensor(counts, device=there)[:, None]
        pooled[layer] = flat

    with capture(model, sorted(set(layers)), take):
        run_to(model, ids, torch.ones_like(ids), max(layers))
    return torch.stack([pooled[layer].cpu() for layer in layers])
