"""Random directions beside the concepts, so that any engine can steer by them as by a concept."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from affekt.concepts import Concept
from affekt.steering.control import random_directions
from affekt.vectors.conceptvectors import ConceptVectors, Provenance

__all__ = ["with_random"]


def with_random(
    vectors: ConceptVectors, n: int, seed: int = 0, spanned: bool = False
) -> tuple[ConceptVectors, tuple[str, ...]]:
    """The vectors and `n` random directions under names of their own.

    A direction is the same at every layer, as much as a concept's is: over a band of layers it adds up as
    theirs do.

    Args:
        vectors: the concepts.
        n: how many.
        seed: of the draw.
        spanned: draw from the span of the concepts' own steering vectors (random mixtures of concepts), where
            residuals vary, rather than from the whole space, most of which a model does not use. The
            stronger control.

    Returns:
        Both sets joined, and the names of the random ones.
    """
    kind = "mixture" if spanned else "random"
    names = tuple(f"{kind} direction {i + 1}" for i in range(n))
    d = vectors.provenance.model.d_model
    stack: Tensor = torch.stack(
        [
            random_directions(n, d, seed, sample=vectors.directions(layer) if spanned else None)
            for layer in vectors.layers
        ]
    )
    moments = torch.zeros(len(vectors.layers), vectors.mean.shape[1], n)
    drawn = replace(
        vectors,
        concepts=tuple(Concept(name) for name in names),
        raw=stack,
        projected=stack,
        whitened=stack,
        weight=stack,
        mean=moments,
        std=torch.ones_like(moments),
        doses=torch.full((n,), torch.nan),
        provenance=Provenance(vectors.provenance.model, {}, {}),
        card={},
    )
    return vectors.join(drawn), names
