"""What an ablation costs by chance, from random directions whose shares of variance differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from affekt.errors import CalibrationError

__all__ = ["Chance", "Verdict", "chance"]

FEWEST = 4
"""Under so many random directions a spread is not known well enough to compare with."""

NOISE = 1e-5
"""Nats under which differences are rounding: the spread is never taken for smaller."""


@dataclass(frozen=True)
class Verdict:
    """An effect against chance."""

    expected: float
    """Mean effect of a random direction that takes the same share, nats."""
    excess: float
    """The effect less that, nats."""
    low: float
    """Lower end of the 95 % interval of the excess."""
    high: float
    """Upper end of it."""
    z: float
    """The excess in standard deviations of random directions."""
    p: float
    """Two-sided: how often a random direction does as much, by Student's t."""


@dataclass(frozen=True)
class Chance:
    """Random directions' effects as a function of the share of variance they take.

    To first order an effect is a product of what is taken and a gradient that does not know of it: it has
    no mean, and its variance goes with the share. To second order it has a mean, which goes with the share
    too. So the mean is `slope * share`, the variance `scatter * share`, and a few controls of different
    shares do for concepts of shares in between. Where all are the same, this is plain mean and variance.
    """

    slope: float
    """Mean effect per share."""
    scatter: float
    """Variance of the effect per share."""
    weight: float
    """Sum of the controls' shares."""
    n: int
    """How many random directions."""

    def verdict(self, effect: float, share: float) -> Verdict:
        """An effect of an ablation that takes a share, against chance."""
        expected = self.slope * share
        excess = effect - expected
        deviation = math.sqrt(self.scatter * share * (1.0 + share / self.weight) + NOISE**2)
        margin = float(student.ppf(0.975, self.n - 1)) * deviation
        z = excess / deviation
        p = 2.0 * float(student.sf(abs(z), self.n - 1))
        return Verdict(expected, excess, excess - margin, excess + margin, z, p)


def chance(effects: Sequence[float], shares: Sequence[float]) -> Chance:
    """Fits what random directions did, by weighted least squares (the ratio estimator).

    Args:
        effects: nats, one for each random direction.
        shares: share of variance that each takes, above 0.

    Raises:
        CalibrationError: for fewer than 4.
    """
    if len(effects) < FEWEST:
        raise CalibrationError(f"{len(effects)} random directions; a comparison needs at least {FEWEST}")
    y, s = np.array(effects, dtype=np.float64), np.maximum(np.array(shares, dtype=np.float64), 1e-12)
    slope = float(y.sum() / s.sum())
    scatter = float(((y - slope * s) ** 2 / s).sum() / (len(y) - 1))
    return Chance(slope, scatter, float(s.sum()), len(y))
