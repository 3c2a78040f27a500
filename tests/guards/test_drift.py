"""Drift: unchanged traffic is rarely blamed, shifted traffic is found, little data is said to be little."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from affekt.errors import CalibrationError
from affekt.guards.conformal import conformal
from affekt.guards.drift import Drift, exceedance


def draw(rng: np.random.Generator, n: int, shift: float = 0.0, scale: float = 1.0) -> list[list[float]]:
    return [[float(score)] for score in rng.normal(shift, scale, size=n)]


def compare(seed: int, later: int = 240, **change: float) -> Drift:
    rng = np.random.default_rng(seed)
    before = draw(rng, 240)
    return Drift.of("fear", conformal(before, 0.05), before, draw(rng, later, **change))


def test_unchanged_traffic_is_rarely_blamed() -> None:
    results = [compare(seed) for seed in range(150)]
    verdicts = Counter(result.verdict for result in results)
    assert verdicts["broken"] <= 0.01 * 150 + 4
    assert verdicts["holds"] >= 135
    assert sum(result.moved for result in results) <= 0.01 * 150 + 4


def test_shifted_traffic_is_found() -> None:
    results = [compare(seed, shift=1.0) for seed in range(20)]
    assert all(result.verdict == "broken" and result.moved for result in results)
    assert all(result.low > 0.05 for result in results)
    assert "does not hold any more; calibrate again" in str(results[0])


def test_traffic_may_move_without_breaking_the_promise() -> None:
    result = compare(0, shift=-1.0)
    assert result.verdict == "holds" and result.moved
    assert "still holds" in str(result) and "the scores have moved" in str(result)


def test_little_data_is_said_to_be_little() -> None:
    result = compare(0, later=10)
    assert result.verdict == "too little data"
    assert "it takes about" in str(result) and "n = 10" in str(result)
    assert compare(0, later=10, shift=3.0).verdict == "broken"


def test_a_small_calibration_may_have_a_rate_of_its_own() -> None:
    """With 19 dialogues a true rate of 15 % is nothing unusual, so it is no proof of drift."""
    before = [[float(score)] for score in range(19)]
    promise = conformal(before, 0.05)
    later = [[20.0]] * 3 + [[1.0]] * 17
    assert promise.low < 0.15 < promise.high
    assert Drift.of("fear", promise, before, later).verdict != "broken"


def test_the_interval_is_the_exact_binomial_one() -> None:
    expected = stats.binomtest(3, 50).proportion_ci(0.95, method="exact")
    assert exceedance(3.0, 50) == pytest.approx((expected.low, expected.high))
    assert exceedance(0.0, 50)[0] == 0.0 and exceedance(50.0, 50)[1] == 1.0


def test_replies_of_a_dialogue_share_its_weight() -> None:
    before = [[float(score)] for score in range(100)]
    promise = conformal(before, 0.05)
    result = Drift.of("fear", promise, before, [[1000.0] * 50] + [[1.0]] * 99)
    assert result.n == 100 and result.rate == pytest.approx(0.01)


@pytest.mark.parametrize("later", [[], [[]], [[float("nan")]]])
def test_no_data_is_an_error(later: list[list[float]]) -> None:
    before = [[float(score)] for score in range(100)]
    with pytest.raises(CalibrationError):
        Drift.of("fear", conformal(before, 0.05), before, later)
