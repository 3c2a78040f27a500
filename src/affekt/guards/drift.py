"""Whether later traffic still keeps the promise of a calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from affekt.errors import CalibrationError
from affekt.guards.confident import chance_of_few
from affekt.guards.conformal import CONFIDENCE, Groups, Promise

__all__ = ["Drift", "Verdict", "exceedance"]

Verdict = Literal["holds", "broken", "too little data"]

SURPRISE = 0.01
"""A p-value under it speaks against chance."""

SLACK = 2.0
"""The promise is said to hold where the rate is surely under this many times what it hardly was over."""


@dataclass(frozen=True)
class Drift:
    """Later scores of one monitor against those of its calibration."""

    monitor: str
    """The monitor's name."""
    promise: Promise
    """What was promised."""
    n: int
    """Later dialogues."""
    rate: float
    """Share of their replies over the threshold, each dialogue weighing the same."""
    low: float
    """Lower end of its 95 % interval (Clopper & Pearson 1934, by dialogues)."""
    high: float
    """Upper end of it."""
    p_rate: float
    """Chance of as many alarms or more, had nothing changed since the calibration; at most so great, if the
    promise is one with a confidence and still holds."""
    distance: float
    """Kolmogorov-Smirnov distance between both sets of scores, one reply a dialogue."""
    p_distance: float
    """Chance of as large a distance, had nothing changed."""
    verdict: Verdict
    """Whether the promise still holds."""

    @classmethod
    def of(cls, monitor: str, promise: Promise, before: Groups, later: Groups, seed: int = 0) -> Drift:
        """Compares later scores with a calibration's.

        The promise is broken where so many alarms have a chance under 1 % if nothing has changed. That chance
        counts in that a calibration is itself a draw: the number of alarms is then beta-binomial. A promise
        with a confidence is about this calibration, so it is broken where so many alarms have a chance under
        1 % at the rate promised.

        Args:
            monitor: its name.
            promise: of the calibration.
            before: the scores that the calibration rests on.
            later: scores of dialogues since, of replies made in the same way.
            seed: of the draw of one reply from each dialogue, for the test of the scores' distribution.

        Raises:
            CalibrationError: no later dialogue, or a score that is no number.
        """
        if not later or any(not group for group in later):
            raise CalibrationError(f"{monitor}: no replies to compare with the calibration")
        if any(math.isnan(score) for group in later for score in group):
            raise CalibrationError(f"{monitor}: a later score is NaN; the model's readings are not numbers")
        n = len(later)
        alarms = sum(sum(score > promise.threshold for score in group) / len(group) for group in later)
        low, high = exceedance(alarms, n)
        if promise.confidence is None:
            p_rate = float(stats.betabinom.sf(math.floor(alarms + 1e-9) - 1, n, *promise.spread))
        else:
            whole = all(len(group) == 1 for group in later)
            p_rate = chance_of_few(n - alarms, n, 1 - promise.rate, whole)
        rng = np.random.default_rng(seed)
        test = stats.ks_2samp(_one_each(before, rng), _one_each(later, rng))
        verdict: Verdict = "holds"
        if p_rate < SURPRISE:
            verdict = "broken"
        elif high > SLACK * promise.most:
            verdict = "too little data"
        return cls(
            monitor=monitor,
            promise=promise,
            n=n,
            rate=alarms / n,
            low=low,
            high=high,
            p_rate=p_rate,
            distance=float(test.statistic),
            p_distance=float(test.pvalue),
            verdict=verdict,
        )

    @property
    def moved(self) -> bool:
        """Whether the scores have changed, be the promise kept or not."""
        return self.p_distance < SURPRISE

    def __str__(self) -> str:
        interval = f"{self.low:.2%} to {self.high:.2%}, n = {self.n}"
        alarms = f"{self.rate:.2%} of replies over the threshold ({interval}), "
        alarms += f"promised {self.promise.rate:.2%}"
        if self.promise.confidence is not None:
            alarms += f" with {100 * self.promise.confidence:.4g}% confidence"
        moved = (
            f"; the scores have moved (Kolmogorov-Smirnov {self.distance:.2f}, p = {self.p_distance:.2g})"
            if self.moved
            else ""
        )
        saying = {
            "holds": "the promise still holds",
            "broken": "the promise does not hold any more; calibrate again",
            "too little data": f"too little data; it takes about {_enough(self.promise):,} dialogues",
        }[self.verdict]
        return f"{self.monitor}: {saying}: {alarms}{moved}"


def exceedance(alarms: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a rate, `alarms` of `n` (Clopper & Pearson 1934); parts of dialogues may count."""
    tail = (1 - CONFIDENCE) / 2
    low = float(stats.beta.ppf(tail, alarms, n - alarms + 1)) if alarms > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, alarms + 1, n - alarms)) if alarms < n else 1.0
    return low, high


def _one_each(scores: Groups, rng: np.random.Generator) -> list[float]:
    return [_drawn(group, rng) for group in scores]


def _drawn(group: Sequence[float], rng: np.random.Generator) -> float:
    return float(group[int(rng.integers(len(group)))])


def _enough(promise: Promise) -> int:
    """Dialogues after which the promised rate itself would be told from one that is too high."""
    n = 1
    while exceedance(promise.rate * n, n)[1] > SLACK * promise.most and n < 10**7:
        n = math.ceil(n * 1.1)
    return n
