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


def test_a_promise_with_a_confidence_is_held_to_its_rate() -> None:
    """Five per cent are kept for sure: unchanged traffic is never blamed, ten per cent always are."""
    rng = np.random.default_rng(5)
    verdicts: Counter[str] = Counter()
    for _ in range(60):
        before = draw(rng, 240)
        promise = conformal(before, 0.05, 0.95)
        verdicts[Drift.of("fear", promise, before, draw(rng, 1000)).verdict] += 1
        shift = promise.threshold - stats.norm.isf(0.1)
        late = Drift.of("fear", promise, before, draw(rng, 1000, shift=shift))
        assert late.verdict == "broken"
    assert verdicts["broken"] <= 2 and verdicts["holds"] >= 55
    assert "promised 5.00% with 95% confidence" in str(late)


def test_a_promise_with_a_confidence_may_be_used_up_but_not_overdrawn() -> None:
    """Of 300 scores none may be over for 1 % at 95 %. A later rate of 1 % keeps the promise; 3 % break it."""
    before = [[float(score)] for score in range(300)]
    promise = conformal(before, 0.01, 0.95)
    assert promise.threshold == 299.0

    def later(alarms: int, n: int) -> Drift:
        return Drift.of("fear", promise, before, [[500.0]] * alarms + [[1.0]] * (n - alarms))

    kept, broken = later(10, 1000), later(30, 1000)
    assert kept.p_rate == pytest.approx(stats.binom.sf(9, 1000, 0.01)) and kept.verdict == "holds"
    assert broken.p_rate == pytest.approx(stats.binom.sf(29, 1000, 0.01)) and broken.verdict == "broken"
    few = later(0, 100)
    assert few.verdict == "too little data" and "it takes about" in str(few)
    n = int(str(few).split("about ")[1].split(" ")[0].replace(",", ""))
    assert exceedance(0.01 * n, n)[1] <= 0.02 < exceedance(0.01 * n / 1.2, int(n / 1.2))[1]


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
