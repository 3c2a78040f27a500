"""From the moments of one corpus to its directions and the read-out that does best on held-out forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts import Corpus
from affekt.models.model import Identity
from affekt.vectors.cells import Layout
from affekt.vectors.conceptvectors import ConceptVectors, Provenance
from affekt.vectors.directions import balanced, noise, remove, unit
from affekt.vectors.moments import CellMeans, ScoreMoments
from affekt.vectors.readout import POSITIONS, Position
from affekt.vectors.recipe import Recipe, candidate_layers
from affekt.vectors.selection import Held, choose, held_out
from affekt.version import __version__

__all__ = ["Fitted", "assemble", "fit"]


@dataclass(frozen=True, eq=False)
class Fitted:
    """The directions of one corpus at every layer."""

    raw: Float[Tensor, "layers concepts d_model"]
    """Difference of means."""
    projected: Float[Tensor, "layers concepts d_model"]
    """Without neutral components."""
    whitened: Float[Tensor, "layers concepts d_model"]
    """By within-concept noise."""
    weight: Float[Tensor, "layers concepts d_model"]
    """Unit read-out weights."""
    read_layer: int
    """Where held-out cells are read best, near two thirds of depth."""
    shrinkage: float | None
    """Of the discriminant that reads best; None where `projected` does."""
    scores: tuple[Held, ...]
    """All candidates."""


def fit(
    cells: CellMeans,
    cells_of: Layout,
    neutral: Sequence[Float[Tensor, "d_model _"]],
    layers: tuple[int, ...],
    n_layers: int,
    recipe: Recipe,
) -> Fitted:
    """Directions and read-out from cell means.

    Args:
        cells: the means.
        cells_of: the form of each cell.
        neutral: for each layer, the components of neutral dialogues to be removed.
        layers: the layers.
        n_layers: how many layers the model has.
        recipe: the choices.
    """
    folds = cells_of.folds()
    scores = [
        held
        for at, layer in enumerate(layers)
        for held in held_out(cells.means(at), folds, layer, neutral[at])
    ]
    if scores:
        chosen = choose(scores, n_layers)
        read_layer, shrinkage = chosen.layer, chosen.shrinkage
    else:
        read_layer, shrinkage = _nearest(layers, n_layers, 2 / 3), None
    stacks: list[tuple[Tensor, ...]] = []
    for at, basis in enumerate(neutral):
        raw, scatter = balanced(cells.means(at))
        projected, within = remove(raw, basis), noise(scatter)
        weight = projected if shrinkage is None else within.power(raw, -1.0, shrinkage)
        stacks.append((raw, projected, within.power(raw, -0.5, recipe.shrinkage), unit(weight)))
    raw, projected, whitened, weight = (torch.stack(stack) for stack in zip(*stacks, strict=True))
    return Fitted(raw, projected, whitened, weight, read_layer, shrinkage, tuple(scores))


def assemble(
    fitted: Fitted,
    references: Mapping[Position, ScoreMoments],
    columns: slice,
    norms: Float[Tensor, "layers"],
    corpus: Corpus,
    model: Identity,
    layers: tuple[int, ...],
    recipe: Recipe,
) -> ConceptVectors:
    """The vectors of one corpus, whose scores are the `columns` of the references."""
    mean, std = (
        torch.stack([each[:, columns] for each in kind], dim=1).float()
        for kind in (
            [references[position].mean for position in POSITIONS],
            [references[position].std() for position in POSITIONS],
        )
    )
    band = candidate_layers(model.n_layers, recipe.steer_band)
    return ConceptVectors(
        concepts=corpus.concepts,
        layers=layers,
        raw=fitted.raw,
        projected=fitted.projected,
        whitened=fitted.whitened,
        weight=fitted.weight,
        mean=mean,
        std=std.clamp_min(1e-6),
        norms=norms,
        doses=torch.full((len(corpus.concepts),), torch.nan),
        read_layer=fitted.read_layer,
        steer_layers=tuple(layer for layer in band if layer in layers)
        or (_nearest(layers, model.n_layers, sum(recipe.steer_band) / 2),),
        steer_variant=recipe.steer_variant,
        provenance=Provenance(
            model, {corpus.name: corpus.hash}, _recipe(fitted, corpus, recipe), _versions()
        ),
    )


def _nearest(layers: Sequence[int], n_layers: int, depth: float) -> int:
    return min(layers, key=lambda layer: abs((layer + 1) / n_layers - depth))


def _recipe(fitted: Fitted, corpus: Corpus, recipe: Recipe) -> dict[str, Any]:
    return {
        **recipe.plain(),
        "texts": len(corpus),
        "read_shrinkage": fitted.shrinkage,
        "held_out": [dict(vars(held)) for held in fitted.scores],
    }


def _versions() -> dict[str, str]:
    return {"affekt": __version__, **{name: version(name) for name in ("torch", "transformers")}}
