"""Strengths from paired comparisons: Bradley-Terry on soft or hard outcomes, on the scale of Elo."""

from __future__ import annotations

from math import log

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["CENTRE", "SCALE", "elo", "hard"]

CENTRE = 1500.0
"""The mean strength."""

SCALE = 400 / log(10)
"""Elo points of one nat."""

RIDGE = 1e-3
"""Keeps the strength of who always wins finite; in weight of one comparison."""


def elo(
    wins: Float[np.ndarray, "items items"], played: Bool[np.ndarray, "items items"] | None = None
) -> tuple[Float[np.ndarray, " items"], float]:
    """Strengths and the advantage of the first place, by maximum likelihood (Bradley & Terry 1952).

    Args:
        wins: in row i, column j the probability, or 0 or 1, that i is preferred when i is shown first.
        played: which pairs were compared; by default all off the diagonal.

    Returns:
        Strengths in Elo points around `CENTRE`, and how many points being shown first is worth.
    """
    n = len(wins)
    played = ~np.eye(n, dtype=bool) if played is None else played
    first, second = np.nonzero(played)
    outcome = wins[first, second]
    design = np.zeros((len(first), n + 1))
    design[np.arange(len(first)), first] += 1
    design[np.arange(len(first)), second] -= 1
    design[:, n] = 1
    weights = np.zeros(n + 1)
    penalty = RIDGE * np.eye(n + 1)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (outcome - chance) - penalty @ weights
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + penalty
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    strengths = weights[:n] - weights[:n].mean()
    return CENTRE + SCALE * strengths, float(SCALE * weights[n])


def hard(wins: Float[np.ndarray, "items items"]) -> Float[np.ndarray, "items items"]:
    """Every comparison as won, lost or drawn."""
    return np.sign(wins - 0.5) / 2 + 0.5
