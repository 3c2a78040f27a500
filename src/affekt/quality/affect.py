"""Do the vectors lie as people rate the words? Principal components, and linear valence and arousal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.quality.section import Cell, Section, unmeasured
from affekt.reading.axes import FEWEST_WORDS, fit_axis
from affekt.vectors.conceptvectors import VARIANTS, ConceptVectors

__all__ = ["TITLE", "affect", "components", "permuted"]

TITLE = "Do the vectors lie as people rate the words?"

COMPONENTS = 3
"""Principal components that are looked at."""

LEVEL = 0.05 / len(VARIANTS)
"""p under which a component counts as found: three variants are tried."""

PERMUTATIONS = 9999
"""Shuffles of the ratings; no p under one in so many and one can be found."""


def affect(vectors: ConceptVectors, layer: int | None = None, permutations: int = PERMUTATIONS) -> Section:
    """PC1-3 of the unit vectors, and a cross-validated linear read-out, against human valence and arousal.

    Every emotion takes part in the components; only words with human norms in the correlations (paper section
    5.3). The norms are Russell & Mehrabian's (1977).
    """
    emotions = [i for i, concept in enumerate(vectors.concepts) if concept.kind == "emotion"]
    rated = [
        at
        for at, i in enumerate(emotions)
        if vectors.concepts[i].valence is not None and vectors.concepts[i].arousal is not None
    ]
    if len(rated) < FEWEST_WORDS:
        return unmeasured(
            TITLE, f"only {len(rated)} of the concepts have human norms, at least {FEWEST_WORDS} are needed"
        )
    ratings = {
        axis: np.array([getattr(vectors.concepts[emotions[at]], axis) for at in rated], dtype=np.float64)
        for axis in ("valence", "arousal")
    }
    rows: list[tuple[Cell, ...]] = []
    data: dict[str, Any] = {}
    held: dict[str, list[Figure]] = {axis: [] for axis in ratings}
    for variant in VARIANTS:
        units = vectors.directions(layer, variant)[emotions].double().numpy()
        scores, variance = components(units)
        data[variant] = {"variance": variance.tolist(), "scores": {}}
        for axis, rating in ratings.items():
            column, r, p = permuted(scores[rated], rating, permutations)
            fitted = fit_axis(units[rated], rating)
            figure = Figure(fitted.r_cross_validated, *fitted.interval, fitted.n, "words")
            held[axis].append(figure)
            rows.append(
                (
                    f"{variant}, {axis}",
                    f"PC{column + 1} ({variance[column]:.0%})",
                    _correlation(scores[rated, column], rating, r),
                    f"{p:.4f}",
                    figure,
                )
            )
            data[variant][axis] = [_pearson(scores[rated, k], rating) for k in range(scores.shape[1])]
        data[variant]["scores"] = {
            vectors.names[i]: [round(float(x), 5) for x in scores[at]] for at, i in enumerate(emotions)
        }
    return Section(
        TITLE,
        _verdict(rows, held),
        ("vectors, axis", "best of PC1-3", "|r| of it", "p", "linear read-out, r held out"),
        tuple(rows),
        (
            f"{len(emotions)} unit vectors at layer {vectors.read_layer if layer is None else layer}; "
            f"{len(rated)} words with human ratings (Russell & Mehrabian 1977).",
            f"p: share of {permutations} shuffles of the ratings whose best of three components is at "
            "least as strong; so the choice among three is allowed for. Least p that can be found: "
            f"{1 / (permutations + 1):.4f}.",
            "The interval of |r| is for the component chosen and does not allow for the choice; p does. "
            "Linear read-out: ridge regression, each word scored by fits that have not seen it.",
        ),
        data,
    )


def components(
    units: Float[np.ndarray, "concepts d_model"], k: int = COMPONENTS
) -> tuple[Float[np.ndarray, "concepts k"], Float[np.ndarray, " k"]]:
    """Scores on the leading principal components, and each one's share of the variance."""
    left, size, _ = np.linalg.svd(units - units.mean(0), full_matrices=False)
    k = min(k, len(size))
    total = float((size**2).sum()) or 1.0
    return left[:, :k] * size[:k], size[:k] ** 2 / total


def permuted(
    scores: Float[np.ndarray, "words k"],
    ratings: Float[np.ndarray, " words"],
    permutations: int,
    seed: int = 0,
) -> tuple[int, float, float]:
    """The component of the largest |r|, that |r|, and its p among shuffled ratings: best against best."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permuted(np.tile(ratings, (permutations, 1)), axis=1)
    x, y = _standard(scores.T), _standard(np.vstack([ratings[None], shuffled]))
    size = np.abs(y @ x.T)
    best = size.max(1)
    p = float((best[1:] >= best[0] - 1e-12).sum() + 1) / (permutations + 1)
    return int(size[0].argmax()), float(best[0]), p


def _standard(rows: Float[np.ndarray, "rows words"]) -> Float[np.ndarray, "rows words"]:
    centred = rows - rows.mean(1, keepdims=True)
    size = np.linalg.norm(centred, axis=1, keepdims=True)
    standard: Float[np.ndarray, "rows words"] = centred / np.where(size == 0, 1, size)
    return standard


def _pearson(a: Float[np.ndarray, " words"], b: Float[np.ndarray, " words"]) -> float:
    return float(_standard(a[None])[0] @ _standard(b[None])[0])


def _correlation(
    scores: Float[np.ndarray, " words"], ratings: Float[np.ndarray, " words"], r: float
) -> Figure:
    sign = 1.0 if _pearson(scores, ratings) >= 0 else -1.0
    figure = statistic(lambda drawn: sign * _pearson(scores[drawn], ratings[drawn]), len(ratings), "words")
    return Figure(r, figure.low, figure.high, figure.n, figure.of)


def _verdict(rows: Sequence[tuple[Cell, ...]], held: dict[str, list[Figure]]) -> str:
    parts = []
    for axis, figures in held.items():
        led = [
            str(row[0]).split(",")[0]
            for row in rows
            if str(row[0]).endswith(axis) and float(str(row[3])) < LEVEL
        ]
        best = max(figures, key=lambda figure: figure.value)
        geometry = (
            f"among the leading components of the {' and '.join(led)} vectors"
            if led
            else "not among the leading components"
        )
        linear = f"read linearly with r = {best}" if best.low > 0 else "not read linearly beyond chance"
        parts.append(f"{axis} is {geometry}, and {linear}")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
