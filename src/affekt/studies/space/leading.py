"""How much of the vectors' variance the two leading components hold (paper 5.2)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from affekt.quality.bootstrap import jackknife
from affekt.studies.result import Check

__all__ = ["leading"]

SHUFFLES = 200
"""Shuffles of each coordinate over the emotions."""


def leading(units: Float[np.ndarray, "emotions d_model"]) -> Check:
    """The shares of PC1 and PC2 against those of vectors whose coordinates are shuffled over the emotions,
    each on its own (parallel analysis, Horn 1965): as spread along each coordinate, nothing in common."""

    def measured(kept: Int[np.ndarray, " kept"]) -> tuple[float, ...]:
        shares = _shares(units[kept])
        return (*shares, shares[0] - shares[1])

    first, second, apart = jackknife(measured, len(units), "emotions")
    rng = np.random.default_rng(0)
    drawn = np.array([_shares(rng.permuted(units, axis=0)) for _ in range(SHUFFLES)])
    reach = np.quantile(drawn, 0.975, axis=0)
    above = first.value > reach[0] and second.value > reach[1]
    return Check(
        "share of the vectors' variance on PC1 and PC2",
        "26 %, 15 %",
        "–",
        f"{first}; {second}; 97.5 % of shuffled coordinates under {reach[0]:.3f} and {reach[1]:.3f}",
        "both above 97.5 % of vectors with shuffled coordinates, and PC1 above PC2 (95 % interval of the "
        "difference, jackknife); partly: the first alone. A random network has some structure as well",
        "reproduced" if above and apart.low > 0 else "partly" if above else "not reproduced",
        8,
    )


def _shares(rows: Float[np.ndarray, "emotions d_model"]) -> tuple[float, float]:
    centred = rows - rows.mean(axis=0)
    values = np.linalg.eigvalsh(centred @ centred.T)
    total = float(values.sum()) or 1.0
    return float(values[-1]) / total, float(values[-2]) / total
