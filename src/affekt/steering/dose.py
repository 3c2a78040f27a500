"""The largest dose that leaves a model coherent: a search, for any measure of what steering costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from affekt.errors import CalibrationError

__all__ = ["Dose", "largest_dose"]

MAX_LOST = 0.5
"""Share of texts without a loss from which on a dose counts as too large, whatever the others say."""


@dataclass(frozen=True)
class Dose:
    """The largest dose found, and what it costs."""

    value: float
    """The dose, in the unit of the search; 0 where even the smallest one tried costs too much."""
    rise: float
    """Mean rise of the loss at that dose, of the sign that costs more."""
    low: float
    """Lower end of the 95 % interval of the rise, by bootstrap over texts."""
    high: float
    """Upper end."""
    n: int
    """Texts that the rise is a mean of."""
    at_ceiling: bool
    """Whether the search ended at its ceiling rather than at the bound."""


@dataclass(frozen=True)
class _Trial:
    dose: float
    rises: Float[np.ndarray, "texts"]
    lost: float

    @property
    def rise(self) -> float:
        return float(self.rises.mean()) if self.lost < MAX_LOST else math.inf


def largest_dose(
    loss: Callable[[float], Float[np.ndarray, "texts"]],
    bound: float,
    ceiling: float,
    *,
    floor: float | None = None,
    steps: int = 6,
    refinements: int = 3,
    resamples: int = 2000,
    seed: int = 0,
) -> Dose:
    """The largest dose up to which, with either sign, the mean rise of the loss stays under a bound.

    Doses are tried upwards on a logarithmic grid until one breaks the bound, then between that one and the
    last good one. What lies above the first that breaks is not looked at: the cost need not grow with the
    dose.

    Args:
        loss: per text, the cost at a signed dose: the unsteered model's loss per token on the reply it gave,
            greedily, under that dose. Called with 0 first; the same texts in the same order each time. NaN
            for a text that has none, such as an empty reply. Text that loops is cheap for a model: give such
            a text infinity.
        bound: largest mean rise over dose 0, in the unit of the loss (nats per token).
        ceiling: largest dose tried.
        floor: smallest dose of the grid; a 32nd of the ceiling unless given.
        steps: doses on the grid, at least 2.
        refinements: halvings between the last good dose and the first bad one.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        CalibrationError: for a bound, ceiling or floor that leaves nothing to search, or no loss at dose 0.
    """
    floor = ceiling / 32 if floor is None else floor
    if not (bound > 0 and 0 < floor < ceiling < math.inf and steps >= 2):
        raise CalibrationError(
            f"a search for doses needs a bound over 0, 0 < floor < ceiling and 2 steps, not bound {bound:g}, "
            f"floor {floor:g}, ceiling {ceiling:g}, {steps} steps"
        )
    base = loss(0.0)
    if not np.isfinite(base).any():
        raise CalibrationError(
            "no text has a loss at dose 0, so no rise can be measured; give texts with replies"
        )

    def trial(dose: float) -> _Trial:
        plus = _trial(dose, loss(dose), base)
        if plus.rise >= bound:
            return plus
        return max(plus, _trial(dose, loss(-dose), base), key=lambda one: one.rise)

    ratio = (ceiling / floor) ** (1 / (steps - 1))
    best: _Trial | None = None
    bad: float | None = None
    for step in range(steps):
        tried = trial(ceiling if step == steps - 1 else floor * ratio**step)
        if tried.rise >= bound:
            bad = tried.dose
            break
        best = tried
    if bad is not None:
        good = best.dose if best is not None else floor / ratio
        for _ in range(refinements):
            tried = trial(math.sqrt(good * bad))
            if tried.rise >= bound:
                bad = tried.dose
            else:
                best, good = tried, tried.dose
    if best is None:
        return Dose(0.0, 0.0, 0.0, 0.0, int(np.isfinite(base).sum()), at_ceiling=False)
    low, high = _interval(best.rises, resamples, seed)
    return Dose(best.dose, best.rise, low, high, len(best.rises), at_ceiling=bad is None)


def _trial(dose: float, losses: Float[np.ndarray, "texts"], base: Float[np.ndarray, "texts"]) -> _Trial:
    measured = np.isfinite(base)
    rises = (losses - base)[measured]
    known = ~np.isnan(rises)
    return _Trial(dose, rises[known], 1.0 - float(known.mean()))


def _interval(values: Float[np.ndarray, "texts"], resamples: int, seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean."""
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[draws].mean(1), [0.025, 0.975])
    return float(low), float(high)
