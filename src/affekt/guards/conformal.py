"""Thresholds with a promised rate of false alarms, by split conformal prediction; pure functions of scores.

Scores come in groups, one for each dialogue, since replies of one dialogue are alike and dialogues are what
is drawn anew. Every dialogue has the same weight, however many replies it has, which keeps the promise for a
reply of a new dialogue (Lee, Barber & Willett 2023); where each has one reply it is the usual split conformal
threshold, the ceil((n + 1)(1 - rate))-th smallest score. An alarm is a score over the threshold. Scores that
are equal to it raise none, so ties only make alarms rarer.

That promise is kept on the average over calibrations; the rate of the one at hand is Beta distributed about
it, and over it about every second time. With a `confidence` the threshold is chosen for the one at hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from scipy import stats

from affekt.errors import CalibrationError
from affekt.guards.confident import allowed, at_least, least_rate, upper_end

__all__ = ["CONFIDENCE", "Groups", "Promise", "conformal", "demand", "needed"]

Groups: TypeAlias = Sequence[Sequence[float]]
"""For each dialogue, the score of each of its replies: the highest value that a monitor has in it."""

CONFIDENCE = 0.95
"""Of every interval here, where no other is asked for."""


@dataclass(frozen=True)
class Promise:
    """A threshold and what is known of its rate of false alarms."""

    rate: float
    """The rate that was asked for, per reply."""
    confidence: float | None
    """Chance that the rate of this one calibration is no higher; None where it is kept on the average."""
    threshold: float
    """An alarm is a score over it."""
    guaranteed: float
    """The chance of an alarm on the next reply of the same kind, averaged over the draws of a calibration."""
    low: float
    """Lower end of the 95 % interval for the rate of this one calibration; 0 where scores tie at the
    threshold, and with a confidence, which bounds the rate on one side."""
    high: float
    """Upper end of it; with a confidence, the end under which the rate lies with that."""
    n: int
    """Dialogues it rests on."""
    replies: int
    """Replies of them."""
    alarms: float
    """Weight of the dialogues over the threshold, `n + 1` in all: the Beta distribution's first parameter."""

    @property
    def spread(self) -> tuple[float, float]:
        """Parameters of the Beta distribution of this calibration's rate of alarms."""
        return self.alarms, self.n + 1 - self.alarms

    @property
    def most(self) -> float:
        """What the rate of this calibration is hardly over: the one promised, if with a confidence."""
        return self.high if self.confidence is None else self.rate


def needed(rate: float, confidence: float | None = None) -> int:
    """How many dialogues it takes at least: 99 to promise 1 %, 299 to promise it with 95 % confidence."""
    share = _exact(rate)
    return math.ceil(1 / share) - 1 if confidence is None else at_least(float(share), confidence)


def demand(n: int, rate: float, confidence: float | None = None) -> None:
    """Raises CalibrationError where `n` dialogues are too few, with how many are needed."""
    fewest = needed(rate, confidence)
    if n < fewest:
        least = 1 / (n + 1) if confidence is None else least_rate(max(n, 1), confidence)
        sure = "" if confidence is None else f" with {100 * confidence:.4g}% confidence"
        raise CalibrationError(
            f"{n} dialogues cannot promise {rate:.3%} false alarms per reply{sure}; at least {fewest:,} are "
            f"needed, or ask for a rate from {math.ceil(1e5 * least) / 1e3:.3f}% on"
        )


def conformal(scores: Groups, rate: float, confidence: float | None = None) -> Promise:
    """The lowest threshold that raises an alarm on at most `rate` of new replies.

    The guarantee holds for replies exchangeable with these: same model, same kind of dialogues, same way of
    decoding. The interval is that of Beta(n + 1 - k, k), k the rank of the threshold, which is exact for one
    reply a dialogue and scores that do not tie; with more replies a dialogue it is rather too wide.

    Args:
        scores: of each dialogue's replies, at least one each.
        rate: false alarms per reply, over 0 and under 1.
        confidence: from 0.5 to under 1: the rate of this calibration is at most `rate` with it (training-
            conditional, Vovk 2012); on the average over calibrations unless given. It is for one threshold,
            not for several jointly.

    Raises:
        CalibrationError: too few dialogues, a score that is no finite number, a rate or a confidence that is
            none.
    """
    share = _exact(rate)
    if any(not group for group in scores):
        raise CalibrationError("a dialogue without replies; leave it out")
    n, replies = len(scores), sum(map(len, scores))
    demand(n, rate, confidence)
    unit = math.lcm(*map(len, scores))
    atoms = sorted((score, unit // len(group)) for group in scores for score in group)
    wrong = next((score for score, _ in atoms if not math.isfinite(score)), None)
    if wrong is not None:
        raise CalibrationError(f"a score is {wrong}; the readings are not numbers, or a reply is empty")
    if confidence is None:
        wanted = math.ceil((n + 1) * (1 - share) * unit)
    else:
        wanted = n * unit - allowed(n, unit, rate, confidence)
    below, threshold = 0, atoms[-1][0]
    for score, weight in atoms:
        below += weight
        if below >= wanted:
            threshold = score
            break
    rank = below / unit
    alarms = n + 1 - rank
    ties = sum(score == threshold for score, _ in atoms) > 1
    if confidence is None:
        low, high = stats.beta.interval(CONFIDENCE, alarms, rank)
        mean = alarms / (n + 1) if unit == 1 else float(share)
    else:
        low, high = 0.0, upper_end(n - rank, n, confidence, unit == 1)
        mean = 1 - wanted / (unit * (n + 1))
    return Promise(
        rate=rate,
        confidence=confidence,
        threshold=float(threshold),
        guaranteed=mean,
        low=0.0 if ties else float(low),
        high=float(high),
        n=n,
        replies=replies,
        alarms=alarms,
    )


def _exact(rate: float) -> Fraction:
    """The decimal that was meant, so that 0.01 of 100 is 1."""
    if not 0 < rate < 1:
        raise CalibrationError(f"a false-alarm rate of {rate}; it must be over 0 and under 1, such as 0.01")
    return Fraction(repr(float(rate)))
