"""How many alarms a calibration may have so that its own rate is kept with a stated confidence.

Split conformal prediction keeps a rate on the average over calibrations. Here the statement is about the one
that was made (training-conditional validity, Vovk 2012): the threshold is the lowest one whose alarms are so
few that a rate over the one asked for would show so few in at most `1 - confidence` of all calibrations. Such
a set of thresholds has no gaps, so the choice among them costs nothing (Bates et al. 2021). Where each
dialogue has one reply that chance is binomial, and exact. A dialogue of several replies counts in part; its
share of alarms is a number between 0 and 1 with any distribution, for which the smaller of Hoeffding's (1963)
and Bentkus's (2004) bounds holds.
"""

from __future__ import annotations

import bisect
import math
from fractions import Fraction

from scipy import optimize, special, stats

from affekt.errors import CalibrationError

__all__ = ["allowed", "at_least", "chance_of_few", "least_rate", "upper_end"]

ROUNDING = 1e-9
"""What a chance may be over by where it is computed in two ways."""


def at_least(rate: float, confidence: float) -> int:
    """How many dialogues it takes at least: so many that all without an alarm speak against the rate.

    Raises:
        CalibrationError: a confidence outside 0.5 to 1.
    """
    miss = _miss(confidence)
    return max(1, math.ceil(math.log(miss) / math.log1p(-rate) - ROUNDING))


def least_rate(n: int, confidence: float) -> float:
    """The lowest rate that `n` dialogues can promise with a confidence."""
    return float(-math.expm1(math.log(_miss(confidence)) / n))


def allowed(n: int, unit: int, rate: float, confidence: float) -> int:
    """The weight that may lie over the threshold, in parts of which a dialogue has `unit`.

    Args:
        n: dialogues, at least `at_least(rate, confidence)`.
        unit: 1 where each dialogue has one reply.
        rate: false alarms per reply.
        confidence: chance that the rate of this calibration is no higher.
    """
    most = _miss(confidence) * (1 + ROUNDING)
    weights = range(n * unit + 1)
    return bisect.bisect_right(weights, most, key=lambda w: chance_of_few(w / unit, n, rate, unit == 1)) - 1


def upper_end(alarms: float, n: int, confidence: float, whole: bool) -> float:
    """The end under which the rate lies with a confidence, of `alarms` in `n` dialogues."""
    if alarms >= n:
        return 1.0
    if whole:
        return float(stats.beta.ppf(confidence, alarms + 1, n - alarms))
    miss = _miss(confidence)
    return float(optimize.brentq(lambda p: chance_of_few(alarms, n, p, whole) - miss, alarms / n, 1 - 1e-12))


def chance_of_few(alarms: float, n: int, rate: float, whole: bool) -> float:
    """An upper bound on the chance of at most so many alarms in `n` dialogues of a rate.

    Args:
        alarms: their weight, a dialogue's being 1.
        n: dialogues.
        rate: the mean share of alarms.
        whole: each dialogue has one reply, so that the chance is exactly binomial.
    """
    if whole:
        return float(stats.binom.cdf(round(alarms), n, rate))
    share = min(alarms / n, rate)
    entropy = special.rel_entr(share, rate) + special.rel_entr(1 - share, 1 - rate)
    bentkus = math.e * stats.binom.cdf(math.ceil(alarms - ROUNDING), n, rate)
    return float(min(1.0, math.exp(-n * entropy), bentkus))


def _miss(confidence: float) -> float:
    """The chance that is left, of the decimal that was meant."""
    if not 0.5 <= confidence < 1:
        raise CalibrationError(f"a confidence of {confidence}; it must be from 0.5 to under 1, such as 0.95")
    return float(1 - Fraction(repr(float(confidence))))
