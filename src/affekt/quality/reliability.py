"""Would other texts have given the same vectors? Split-half reliability of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from affekt.quality.bootstrap import count, mean
from affekt.quality.cells import Cells
from affekt.quality.figure import Figure
from affekt.quality.section import Cell, Section, unmeasured
from affekt.vectors.conceptvectors import ConceptVectors
from affekt.vectors.directions import balanced, comparable, noise, remove, unit

__all__ = ["SOUND", "TITLE", "reliability", "split_half"]

TITLE = "Would other texts have given the same vectors?"

Way: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From difference of means and scatter of some cells to a variant of vectors."""

SPLITS = 100
"""Random halves."""

SOUND = 0.7
"""Reliability from which on a vector is taken for sound, as is usual for scales."""

WHITENING = 0.5
"""Shrinkage of the whitened variant where the recipe does not say."""


def reliability(cells: Cells, vectors: ConceptVectors, splits: int = SPLITS, seed: int = 0) -> Section:
    """Split-half reliability of each variant of a corpus's vectors, at their read layer."""
    title = f"{TITLE} ({len(cells.names)} {cells.training.corpus.name})"
    filled = comparable(~cells.means[..., 0].isnan()).any(1)
    if cells.means.shape[1] < 4 or int(filled.sum()) < 3:
        return unmeasured(title, "a split takes at least four topics and three concepts")
    means = cells.means[filled]
    names = [name for name, there in zip(cells.names, filled.tolist(), strict=True) if there]
    shrinkage = float(cells.training.recipe.get("shrinkage", WHITENING))
    ways: Mapping[str, tuple[Way, int]] = {
        "raw": (_plain, splits),
        "projected": (lambda half, _: remove(half, cells.neutral), splits),
        # Each half by its own noise: the noise of all cells would make two halves alike that share nothing.
        "whitened": (lambda half, scatter: noise(scatter).power(half, -0.5, shrinkage), max(1, splits // 10)),
    }
    rows: list[tuple[Cell, ...]] = []
    data: dict[str, dict[str, float | None]] = {}
    figures: dict[str, Figure] = {}
    for name, (way, times) in ways.items():
        own, strange = split_half(means, times, way, seed)
        known = np.isfinite(own)
        figures[name] = mean(own, "concepts")
        rows.append(
            (
                name,
                figures[name],
                mean(strange, "concepts"),
                count(int((own[known] >= SOUND).sum()), int(known.sum()), "concepts"),
                ", ".join(f"{names[i]} {own[i]:.2f}" for i in np.argsort(own)[:3]),
            )
        )
        data[name] = {word: _number(r) for word, r in zip(names, own.tolist(), strict=True)}
    return Section(
        title,
        _verdict(vectors.steer_variant, figures[vectors.steer_variant]),
        ("vectors", "reliability", "other concepts", f"share of at least {SOUND}", "least reliable"),
        tuple(rows),
        (
            f"Mean cosine of a concept's vectors from two halves of its {means.shape[1]} cells (topics) "
            f"over {splits} random splits ({max(1, splits // 10)} for whitened), stepped up to the whole "
            "by Spearman-Brown. Other concepts: the same between different ones, 0 where nothing is "
            "shared.",
            "A reliable vector need not mean what it is named after: it is the same from text to text, "
            "whatever it is.",
        ),
        data,
    )


def split_half(
    means: Float[Tensor, "concepts cells d_model"], splits: int, way: Way | None = None, seed: int = 0
) -> tuple[Float[np.ndarray, " concepts"], Float[np.ndarray, " concepts"]]:
    """Reliability of each concept's vector, and what it would be with another concept's other half.

    Cells are split by column, so that no topic is in both halves.

    Args:
        means: mean of each cell; NaN marks an empty one.
        splits: how many random halves.
        way: makes vectors of half of the cells' difference of means and its scatter; as they are by default.
        seed: of the splits.

    Returns:
        Both, NaN for a concept that never had a cell in each half.
    """
    generator = torch.Generator().manual_seed(seed)
    own, strange, seen = (torch.zeros(len(means), dtype=torch.float64) for _ in range(3))
    columns = means.shape[1]
    for _ in range(splits):
        order = torch.randperm(columns, generator=generator)
        parts = (order[: columns // 2], order[columns // 2 :])
        one, other = (_half(means[:, part], way or _plain) for part in parts)
        cosines = (one @ other.T).double()
        both = (one.norm(dim=1) > 0) & (other.norm(dim=1) > 0)
        own += cosines.diagonal().where(both, 0.0)
        strange += ((cosines.sum(1) - cosines.diagonal()) / (int(both.sum()) - 1)).where(both, 0.0)
        seen += both
    return _stepped_up((own / seen).numpy()), _stepped_up((strange / seen).numpy())


def _half(means: Float[Tensor, "concepts cells d_model"], way: Way) -> Float[Tensor, "concepts d_model"]:
    """Unit vectors of the concepts that have comparable cells here, zero for the others."""
    there = comparable(~means[..., 0].isnan()).any(1)
    out = torch.zeros(len(means), means.shape[2])
    out[there] = unit(way(*balanced(means[there])))
    return out


def _plain(half: Float[Tensor, "concepts d_model"], _scatter: Tensor) -> Float[Tensor, "concepts d_model"]:
    return half


def _number(value: float) -> float | None:
    return round(value, 5) if np.isfinite(value) else None


def _stepped_up(cosine: Float[np.ndarray, " concepts"]) -> Float[np.ndarray, " concepts"]:
    """Spearman-Brown: from half the texts to all of them."""
    whole: Float[np.ndarray, " concepts"] = 2 * cosine / (1 + np.abs(cosine))
    return whole


def _verdict(name: str, figure: Figure) -> str:
    if not figure.low > 0:
        return "The halves do not agree: the vectors are noise."
    level = "sound" if figure.low >= SOUND else "moderate" if figure.value >= 0.5 else "weak"
    return f"Reliability of the {name} vectors, which steer, is {level}: {figure}."
