"""Directions beside the concepts, random ones above all: any engine steers by them as by a concept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts import Concept
from affekt.steering.control import random_directions
from affekt.vectors.conceptvectors import ConceptVectors, Provenance

__all__ = ["with_directions", "with_random"]


def with_directions(
    vectors: ConceptVectors, names: Sequence[str], stack: Float[Tensor, "layers directions d_model"]
) -> ConceptVectors:
    """The vectors and directions under names of their own, which steer and have no reference to be read by.

    Args:
        vectors: the concepts.
        names: of the directions; none is a concept's.
        stack: the directions at each layer that the vectors hold; their lengths do not count.

    Raises:
        VectorsError: a name is a concept's, or a shape does not fit.
    """
    moments = torch.zeros(len(vectors.layers), vectors.mean.shape[1], len(names))
    return vectors.join(
        replace(
            vectors,
            concepts=tuple(Concept(name) for name in names),
            raw=stack,
            projected=stack,
            whitened=stack,
            weight=stack,
            mean=moments,
            std=torch.ones_like(moments),
            doses=torch.full((len(names),), torch.nan),
            provenance=Provenance(vectors.provenance.model, {}, {}),
            card={},
        )
    )


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
    stack = torch.stack(
        [
            random_directions(n, d, seed, sample=vectors.directions(layer) if spanned else None)
            for layer in vectors.layers
        ]
    )
    return with_directions(vectors, names, stack), names
