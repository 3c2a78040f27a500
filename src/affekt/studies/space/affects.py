"""Components of the vectors against what people say of the words (paper 5.2, 5.3): which component is
valence or arousal is found, and the search is part of the test."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from affekt.quality.affect import components, permuted
from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.reading.axes import FEWEST_WORDS, fit_axis
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Table, by_size, unjudged
from affekt.vectors.recipe import VARIANTS, Variant

__all__ = ["affects"]

PERMUTATIONS = {"quick": 999, "full": 9999}
"""Shuffles of the ratings; no p under one in so many and one can be attained."""

SEARCHED = 3
"""Leading components that are searched."""

PAPER = {"valence": "0.81 (PC1)", "arousal": "0.66 (PC2)"}
PUBLISHED = {"valence": "0.97, 0.83, 0.76; 0.11 on one", "arousal": "0.85, 0.55, 0.45"}
LEAST = {"valence": 0.6, "arousal": 0.5}
"""|r| from which on a component counts as the axis (of our specification, section 12)."""

JUDGED: Variant = "projected"
"""The variant that the paper looks at, and that is judged."""


def affects(lab: Lab) -> tuple[Table, list[Check]]:
    """For each variant and axis: the best component, its p with the search among the shuffles, and a ridge
    read-out of words held out; the judged rows are of the denoised vectors."""
    rows, checks = [], []
    for axis in ("valence", "arousal"):
        places, ratings = lab.norms_of(axis)
        if len(places) < FEWEST_WORDS:
            checks.append(
                unjudged(f"{axis} on a leading component", PAPER[axis], PUBLISHED[axis], "too few norms", 9)
            )
            continue
        for variant in VARIANTS:
            units = lab.vectors.directions(None, variant)[lab.emotions].double().numpy()
            scores, variance = components(units, SEARCHED)
            at, r, p = permuted(scores[places], ratings, PERMUTATIONS[lab.scale])
            figure = _interval(scores[places, at], ratings, r)
            fitted = fit_axis(units[places], ratings)
            read = Figure(fitted.r_cross_validated, *fitted.interval, fitted.n, "words")
            rows.append(
                {
                    "axis": axis,
                    "variant": variant,
                    "component": at + 1,
                    "variance": round(float(variance[at]), 6),
                    "abs r": r,
                    "low": figure.low,
                    "high": figure.high,
                    "p": p,
                    "least p attainable": 1 / (PERMUTATIONS[lab.scale] + 1),
                    **{f"r of PC{k + 1}": _r(scores[places, k], ratings) for k in range(scores.shape[1])},
                    "read-out r": read.value,
                    "read-out low": read.low,
                    "read-out high": read.high,
                    "n": len(ratings),
                }
            )
            if variant == JUDGED:
                checks += [_found(axis, at, p, figure), _read(axis, read)]
    return Table.of("axes", rows), checks


def _found(axis: str, at: int, p: float, figure: Figure) -> Check:
    """A component is the axis where the shuffles, searched alike, seldom do as well and |r| is large."""
    verdict = "not reproduced" if p >= 0.05 else "reproduced" if figure.value >= LEAST[axis] else "partly"
    return Check(
        f"{axis} on the best of PC1-{SEARCHED}",
        PAPER[axis],
        PUBLISHED[axis],
        f"PC{at + 1}, |r| {figure}, p = {p:.4f}",
        f"p under 0.05 against shuffles searched alike, and |r| of at least {LEAST[axis]:g}; partly: p alone",
        verdict,  # type: ignore[arg-type]
        9,
    )


def _read(axis: str, read: Figure) -> Check:
    return by_size(f"{axis}, linear read-out, words held out", "–", "–", read, LEAST[axis], 0.2, 9)


def _interval(scores: Float[np.ndarray, " words"], ratings: Float[np.ndarray, " words"], r: float) -> Figure:
    sign = np.sign(_r(scores, ratings)) or 1.0
    figure = statistic(lambda drawn: float(sign * _r(scores[drawn], ratings[drawn])), len(ratings), "words")
    return Figure(r, figure.low, figure.high, figure.n, figure.of)


def _r(a: Float[np.ndarray, " words"], b: Float[np.ndarray, " words"]) -> float:
    return float(np.corrcoef(a, b)[0, 1])
