"""A rate kept with a confidence by the one calibration made, checked by sums and by simulation."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from scipy import stats

from affekt.errors import CalibrationError
from affekt.guards.confident import chance_of_few
from affekt.guards.conformal import conformal, needed

RUNS = 500


def single(scores: np.ndarray) -> list[list[float]]:
    return [[float(score)] for score in scores]


def chances(n: int, rate: Fraction) -> list[Fraction]:
    """Of at most 0, 1, ... n alarms in `n` replies, summed up in whole numbers."""
    yes, all_ = rate.numerator, rate.denominator
    terms = (math.comb(n, a) * yes**a * (all_ - yes) ** (n - a) for a in range(n + 1))
    return [Fraction(total, all_**n) for total in accumulate(terms)]


@pytest.mark.parametrize(
    "rate, confidence, n",
    [(0.01, 0.95, 299), (0.05, 0.95, 59), (0.05, 0.9, 45), (0.5, 0.5, 1), (0.01, 0.99, 459)],
)
def test_the_fewest_dialogues_are_known_and_demanded(rate: float, confidence: float, n: int) -> None:
    exact, miss = Fraction(str(rate)), 1 - Fraction(str(confidence))
    assert (1 - exact) ** n <= miss < (1 - exact) ** (n - 1)
    assert needed(rate, confidence) == n
    assert conformal(single(np.arange(n)), rate, confidence).threshold == n - 1
    if n > 1:
        words = rf"{n - 1} dialogues .* with {100 * confidence:.4g}% confidence; at least {n} are needed"
        with pytest.raises(CalibrationError, match=words):
            conformal(single(np.arange(n - 1)), rate, confidence)


def test_the_rate_that_an_error_offers_can_be_promised() -> None:
    with pytest.raises(CalibrationError, match="at least 299 are needed") as found:
        conformal(single(np.arange(240)), 0.01, 0.95)
    offered = float(str(found.value).split("from ")[1].split("%")[0]) / 100
    assert offered == pytest.approx(1 - 0.05 ** (1 / 240), abs=1e-5)
    assert conformal(single(np.arange(240)), offered, 0.95).threshold == 239


@pytest.mark.parametrize("n", [59, 60, 92, 93, 120, 240])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_the_rank_is_the_lowest_whose_chance_is_covered(n: int, confidence: float) -> None:
    miss = 1 - Fraction(str(confidence))
    over = sum(chance <= miss for chance in chances(n, Fraction(1, 20))) - 1
    promise = conformal(single(np.random.default_rng(n).permutation(n)), 0.05, confidence)
    assert promise.threshold == n - over - 1
    assert (promise.alarms, promise.low, promise.confidence) == (over + 1, 0.0, confidence)
    assert promise.high == pytest.approx(stats.beta.ppf(confidence, over + 1, n - over))
    assert promise.high <= 0.05 == promise.most
    assert promise.guaranteed == pytest.approx((over + 1) / (n + 1))


@pytest.mark.parametrize("rate, n", [(0.05, 120), (0.05, 240), (0.01, 299), (0.1, 100)])
def test_the_true_rate_of_a_calibration_is_over_the_promise_as_rarely_as_stated(rate: float, n: int) -> None:
    """The rate of each calibration is known exactly here, from the normal distribution function."""
    rng = np.random.default_rng(1)
    sure = usual = 0
    for _ in range(RUNS):
        scores = single(rng.normal(size=n))
        sure += stats.norm.sf(conformal(scores, rate, 0.95).threshold) > rate
        usual += stats.norm.sf(conformal(scores, rate).threshold) > rate
    over = int(conformal(scores, rate, 0.95).alarms) - 1
    exact = float(chances(n, Fraction(str(rate)))[over])
    assert exact <= 0.05
    low, high = stats.binom.interval(0.999, RUNS, exact)
    assert low <= sure <= high
    assert 0.3 * RUNS < usual < 0.6 * RUNS


def test_replies_of_one_dialogue_may_be_alike() -> None:
    """Dialogues of one to four replies, which differ more between than within dialogues."""
    rng = np.random.default_rng(2)
    over, usual = 0, 0
    for _ in range(400):
        draw = [list(rng.normal() + 0.3 * rng.normal(size=rng.integers(1, 5))) for _ in range(100)]
        sure = conformal(draw, 0.05, 0.95)
        over += stats.norm.sf(sure.threshold, scale=np.sqrt(1.09)) > 0.05
        usual += stats.norm.sf(conformal(draw, 0.05).threshold, scale=np.sqrt(1.09)) > 0.05
        assert sure.high <= 0.05 + 1e-9
    assert over <= stats.binom.ppf(0.999, 400, 0.05)
    assert usual > 0.3 * 400


@pytest.mark.parametrize("kind", ["all or none", "halves", "spread"])
@pytest.mark.parametrize("n", [20, 60])
def test_the_bound_holds_for_dialogues_that_count_in_part(kind: str, n: int) -> None:
    """Shares of alarms of one mean and three forms, of which only the first is binomial."""
    rng, runs = np.random.default_rng(3), 20_000
    uniform = rng.random((runs, n))
    shares = {"all or none": uniform < 0.2, "halves": 0.5 * (uniform < 0.4), "spread": uniform**4}[kind]
    weights = np.sum(shares, axis=1)
    for alarms in np.quantile(weights, [0.001, 0.01, 0.05, 0.2]):
        seen = float(np.mean(weights <= alarms))
        assert seen <= chance_of_few(float(alarms), n, 0.2, whole=False) + 4 * np.sqrt(seen / runs)


def test_parts_cost_little_and_whole_dialogues_nothing() -> None:
    """No alarm at all has the same chance either way; else the bound is wider than the exact chance."""
    assert chance_of_few(0.0, 299, 0.01, whole=False) == pytest.approx(0.99**299)
    for alarms in map(float, range(1, 12)):
        exact, bound = (chance_of_few(alarms, 240, 0.05, whole) for whole in (True, False))
        assert exact < bound <= min(1.0, math.e * exact * (1 + 1e-9))


def test_scores_that_tie_only_make_alarms_rarer() -> None:
    rng = np.random.default_rng(4)
    over = 0
    for _ in range(400):
        promise = conformal(single(rng.integers(20, size=150)), 0.05, 0.95)
        over += (19 - promise.threshold) / 20 > 0.05
    assert over <= stats.binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize("confidence", [0.0, 0.05, 1.0, 95.0, -0.1, float("nan")])
def test_a_confidence_is_from_one_half_to_1(confidence: float) -> None:
    with pytest.raises(CalibrationError, match=r"from 0\.5 to under 1, such as 0\.95"):
        conformal(single(np.arange(400)), 0.05, confidence)
