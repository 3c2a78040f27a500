"""A vector for each emotion at every layer, for the studies of depth.

Extraction holds the middle layers only. Here the shipped stories run through the whole depth, all of them or
a few for each emotion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts.shipped import stories
from affekt.studies.lab import Lab
from affekt.vectors.cells import layout
from affekt.vectors.collect import content
from affekt.vectors.directions import balanced, unit
from affekt.vectors.gather import gather_corpus

__all__ = ["FIRST_TOKEN", "Bank", "bank"]

FIRST_TOKEN = 50
"""First token of a story that is averaged (paper 2.3)."""


@dataclass(frozen=True, eq=False)
class Bank:
    """Unit vectors of some emotions at all layers, by difference of means."""

    names: tuple[str, ...]
    """The emotions."""
    units: Float[Tensor, "layers emotions d_model"]
    """Unit vectors."""
    texts: int
    """How many texts they were made of."""
    cells: Float[Tensor, "emotions cells d_model"]
    """Mean of each cell, mostly one text, at the layer that the lab's vectors read; NaN where it is empty."""

    def at(self, layer: int) -> Float[Tensor, "emotions d_model"]:
        """The vectors of one layer."""
        vectors: Tensor = self.units[layer]
        return vectors


def bank(lab: Lab, names: Sequence[str], topics: int | None) -> Bank:
    """Runs stories of the emotions through all layers.

    Args:
        lab: the model.
        names: the emotions.
        topics: how many of the topics; None is all. Every emotion has one text on each.
    """
    corpus = stories().only(concept=list(names))
    if topics is not None:
        told = corpus.only(form="story")
        corpus = told.only(topic=_spread(told.topics, topics))
    order = [concept.name for concept in corpus.concepts]
    sums, _ = gather_corpus(
        lab.engine().collect,
        corpus,
        layout(corpus),
        range(lab.model.identity.n_layers),
        lab.model.identity.d_model,
        content(FIRST_TOKEN),
        lab.progress,
    )
    at = [order.index(name) for name in names]
    units = [
        unit(balanced(torch.as_tensor(sums.means(layer))[at])[0])
        for layer in range(lab.model.identity.n_layers)
    ]
    cells = torch.as_tensor(sums.means(lab.vectors.read_layer))[at]
    return Bank(tuple(names), torch.stack(units), len(corpus), cells)


def _spread(topics: Sequence[str], n: int) -> list[str]:
    ordered = sorted(topics)
    step = max(1, len(ordered) // n)
    return ordered[::step][:n]
