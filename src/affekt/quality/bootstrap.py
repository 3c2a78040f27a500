"""Intervals: bootstrap over texts (or over whole groups of them), Wilson's for counts, and a jackknife."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from affekt.quality.figure import Figure

__all__ = ["RESAMPLES", "count", "gain", "jackknife", "mean", "share", "statistic", "statistics"]

RESAMPLES = 4000
"""Bootstrap samples."""

_QUANTILES = (0.025, 0.975)


def mean(
    values: Float[np.ndarray, " texts"], of: str = "texts", groups: Sequence[str] | None = None, seed: int = 0
) -> Figure:
    """The mean with its bootstrap interval; for differences on the same texts, give the differences.

    Args:
        values: one number a text; NaN is left out.
        of: what is counted.
        groups: a label for each text. Texts of one label are drawn together, since those of one concept are
            not independent of each other; the interval is then over labels.
        seed: of the bootstrap.

    Returns:
        The figure; without an interval where fewer than two groups or no differences are there to draw from.
    """
    labels = np.asarray(groups) if groups is not None else np.arange(len(values))
    there = np.isfinite(values)
    values, labels = values[there].astype(np.float64), labels[there]
    if not len(values):
        return Figure(nan, nan, nan, 0, of)
    _, member = np.unique(labels, return_inverse=True)
    sums, sizes = np.bincount(member, values), np.bincount(member)
    centre = float(values.mean())
    if len(sums) < 2 or np.ptp(values) == 0:
        return Figure(centre, nan, nan, len(values), of)
    drawn = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), RESAMPLES)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), _QUANTILES)
    return Figure(centre, float(low), float(high), len(values), of)


def share(
    hits: Float[np.ndarray, " texts"], of: str = "texts", groups: Sequence[str] | None = None
) -> Figure:
    """The share of hits, 0 to 1 each: Wilson's interval for whole hits that stand alone, else a bootstrap."""
    n = len(hits)
    alone = groups is None or len(set(groups)) == n
    if alone and bool(np.isin(hits, (0, 1)).all()):
        return count(float(hits.sum()), n, of)
    figure = mean(hits, of, groups)
    if n == 0 or np.isfinite(figure.low):
        return figure
    draws = n if groups is None else len(set(groups))
    low, high = _wilson(figure.value * draws, draws)
    return Figure(figure.value, low, high, n, of)


def gain(
    one: Float[np.ndarray, " texts"],
    other: Float[np.ndarray, " texts"],
    of: str = "texts",
    groups: Sequence[str] | None = None,
) -> Figure:
    """The mean of `one - other`, two shares (or correlations) on the same texts, with the paired interval.

    Where they never differ a bootstrap would be certain of it; the interval is then as wide as that of no
    event in n.
    """
    figure = mean(one - other, of, groups)
    if figure.n == 0 or np.isfinite(figure.low):
        return figure
    reach = _wilson(0.0, len(set(groups)) if groups is not None else figure.n)[1]
    return Figure(figure.value, figure.value - reach, figure.value + reach, figure.n, of)


def count(hits: int | float, n: int, of: str = "texts") -> Figure:
    """The share of `hits` in `n` with Wilson's interval, sound for small n and for shares of 0 and 1."""
    if n == 0:
        return Figure(nan, nan, nan, 0, of)
    low, high = _wilson(float(hits), n)
    return Figure(hits / n, low, high, n, of)


def statistic(
    measure: Callable[[Int[np.ndarray, " drawn"]], float],
    n: int,
    of: str,
    resamples: int = 1000,
    seed: int = 0,
) -> Figure:
    """Any statistic of `n` items, given which of them are drawn, with its bootstrap interval."""
    if n == 0:
        return Figure(nan, nan, nan, 0, of)
    return statistics(lambda drawn: (measure(drawn),), n, of, resamples, seed)[0]


def statistics(
    measure: Callable[[Int[np.ndarray, " drawn"]], Sequence[float]],
    n: int,
    of: str,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[Figure, ...]:
    """Several statistics of the same `n` items, each with its interval from the same bootstrap samples."""
    found = measure(np.arange(n))
    rng = np.random.default_rng(seed)
    drawn = np.array([measure(rng.integers(n, size=n)) for _ in range(resamples)])
    low, high = np.nanquantile(drawn, _QUANTILES, axis=0)
    return tuple(
        Figure(float(value), float(a), float(b), n, of) for value, a, b in zip(found, low, high, strict=True)
    )


def jackknife(
    measure: Callable[[Int[np.ndarray, " kept"]], Sequence[float]], n: int, of: str
) -> tuple[Figure, ...]:
    """Several statistics of `n` items with the intervals of one jackknife (Efron & Stein 1981): each item is
    left out once.

    For statistics to which an item drawn twice does something of its own, such as the shares of components or
    the agreement of two partitions: a bootstrap would raise them.
    """
    everything = np.arange(n)
    whole = [float(value) for value in measure(everything)]
    if n < 2:
        return tuple(Figure(value, nan, nan, n, of) for value in whole)
    without = np.array([measure(np.delete(everything, i)) for i in everything])
    reach = norm.ppf(_QUANTILES[1]) * np.sqrt((n - 1) * without.var(axis=0))
    return tuple(
        Figure(value, value - float(far), value + float(far), n, of)
        for value, far in zip(whole, reach, strict=True)
    )


def _wilson(hits: float, n: int) -> tuple[float, float]:
    z = float(norm.ppf(_QUANTILES[1]))
    part, spread = hits / n, z * z / n
    centre = (part + spread / 2) / (1 + spread)
    reach = z * np.sqrt(part * (1 - part) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, float(centre - reach)), min(1.0, float(centre + reach))
