"""What is compared: every concept, and the clusters and axes that are weighted means of concepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from affekt.concepts import Concept
from affekt.reading.axes import axis_weights

__all__ = ["Quantity", "QuantityKind", "quantities", "weights"]

QuantityKind: TypeAlias = Literal["emotion", "trait", "cluster", "axis"]

FEWEST = 2
"""Concepts that a cluster needs to be one."""


@dataclass(frozen=True)
class Quantity:
    """One column of a comparison."""

    name: str
    """The concept, the cluster, or `valence` or `arousal`."""
    kind: QuantityKind
    """What it is."""


def quantities(concepts: Sequence[Concept]) -> tuple[Quantity, ...]:
    """The concepts in their order, then the clusters, then the axes for which there are norms."""
    columns = [Quantity(concept.name, concept.kind) for concept in concepts]
    columns += [Quantity(name, "cluster") for name in _clusters(concepts)]
    columns += [Quantity(name, "axis") for name, _ in _axes(concepts)]
    return tuple(columns)


def weights(concepts: Sequence[Concept]) -> Float[np.ndarray, "concepts quantities"]:
    """What each concept's z counts for in each quantity: itself, an even share of its cluster, or the
    norm-weighted mean of `affekt.reading.axes`."""
    columns = [np.eye(len(concepts))]
    for cluster in _clusters(concepts):
        own = np.array([float(concept.cluster == cluster) for concept in concepts])
        columns.append(own[:, None] / own.sum())
    columns += [axis[:, None] for _, axis in _axes(concepts)]
    return np.concatenate(columns, axis=1)


def _clusters(concepts: Sequence[Concept]) -> list[str]:
    named = [concept.cluster for concept in concepts if concept.cluster]
    return [name for name in dict.fromkeys(named) if named.count(name) >= FEWEST]


def _axes(concepts: Sequence[Concept]) -> list[tuple[str, Float[np.ndarray, " concepts"]]]:
    names = [concept.name for concept in concepts]
    found = []
    for axis in ("valence", "arousal"):
        norms = {
            concept.name: getattr(concept, axis)
            for concept in concepts
            if concept.kind == "emotion" and getattr(concept, axis) is not None
        }
        if (weight := axis_weights(names, norms)) is not None:
            found.append((axis, weight))
    return found
