"""Mean shifts over prompts: intervals, the test against the floor, and the correction for many concepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import false_discovery_control, t

__all__ = ["RATE", "Moved", "correlation", "discoveries", "floor_of", "moved"]

RESAMPLES = 4000
"""Bootstrap samples of the prompts."""

RATE = 0.05
"""False discovery rate at which a shift is called."""

QUIET = 0.95
"""Quantile over a kind of quantity of a noise arm's shifts that no floor of that kind is under."""


@dataclass(frozen=True, eq=False)
class Moved:
    """Mean differences over the same prompts, one for each quantity."""

    mean: Float[np.ndarray, " quantities"]
    """The shift."""
    low: Float[np.ndarray, " quantities"]
    """Lower end of the 95 % interval, by bootstrap over prompts."""
    high: Float[np.ndarray, " quantities"]
    """Upper end."""
    p: Float[np.ndarray, " quantities"]
    """Of a shift no larger than the floor."""
    n: int
    """Prompts."""


def moved(
    difference: Float[np.ndarray, "prompts quantities"],
    floor: Float[np.ndarray, " quantities"],
    seed: int = 0,
) -> Moved:
    """The mean shift, its interval, and p that it is no larger than the floor.

    By Student's t over prompts: p is the chance that a true shift of just the floor would be seen as large as
    this, to either side. A shift under the floor has p of at least a half, however many prompts show it; at a
    floor of 0 it is the two-sided test. Of fewer than two prompts nothing is known: NaN, p as well.
    """
    there = difference[np.isfinite(difference).all(axis=1)]
    n, width = len(there), difference.shape[1]
    if n < 2:
        nothing = np.full(width, np.nan)
        return Moved(nothing, nothing, nothing, nothing, n)
    mean = there.mean(axis=0)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
    low, high = np.quantile(drawn @ there, (0.025, 0.975), axis=0)
    error = there.std(axis=0, ddof=1) / n**0.5
    p = np.zeros(width)
    for beyond in (np.abs(mean) - floor, np.abs(mean) + floor):
        certain = np.where(beyond > 0, np.inf, -np.inf)
        p += t.sf(np.divide(beyond, error, out=certain, where=error > 0), n - 1)
    return Moved(mean, low, high, np.minimum(p, 1.0), n)


def floor_of(
    arms: Float[np.ndarray, "arms quantities"], kinds: Sequence[str]
) -> Float[np.ndarray, " quantities"]:
    """The largest shift that was seen where nothing of interest had changed.

    For each arm the quantity's own shift, but no less than what 95 % of its kind stay under in that arm: a
    concept that happened to lie still in a few arms has no floor of 0.

    Args:
        arms: mean shifts of each harmless change.
        kinds: of each quantity, such as `emotion`.
    """
    own = np.abs(arms)
    for kind in set(kinds):
        members = np.array([each == kind for each in kinds])
        common = np.quantile(own[:, members], QUIET, axis=1)[:, None]
        own[:, members] = np.maximum(own[:, members], common)
    most: Float[np.ndarray, " quantities"] = own.max(axis=0)
    return most


def discoveries(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """p adjusted for the false discovery rate (Benjamini & Hochberg 1995); NaN where there was no test."""
    adjusted: Float[np.ndarray, " tests"] = p.copy()
    tested = np.isfinite(p)
    if tested.any():
        adjusted[tested] = false_discovery_control(p[tested])
    return adjusted


def correlation(a: Float[np.ndarray, " items"], b: Float[np.ndarray, " items"]) -> float:
    """Pearson's r; NaN where one of them does not vary or is not known."""
    if len(a) < 3 or not np.isfinite([a, b]).all() or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
