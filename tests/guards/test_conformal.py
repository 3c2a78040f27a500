"""The promise of a threshold, checked by simulation: false alarms on replies that had no part in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from affekt.errors import CalibrationError
from affekt.guards.conformal import conformal, needed


def single(scores: np.ndarray) -> list[list[float]]:
    return [[float(score)] for score in scores]


@pytest.mark.parametrize("rate, n", [(0.01, 99), (0.05, 19), (0.5, 1), (0.03, 33), (0.001, 999)])
def test_the_fewest_dialogues_are_known_and_demanded(rate: float, n: int) -> None:
    assert needed(rate) == n
    assert conformal(single(np.arange(n)), rate).threshold == n - 1
    with pytest.raises(CalibrationError, match=f"at least {n} are needed"):
        conformal(single(np.arange(n - 1)), rate)


@given(st.integers(99, 400), st.sampled_from([0.01, 0.05, 0.1, 0.2]))
def test_one_reply_a_dialogue_is_the_usual_rank(n: int, rate: float) -> None:
    rank = -(-(n + 1) * round(1000 * (1 - rate)) // 1000)
    promise = conformal(single(np.random.default_rng(n).permutation(n)), rate)
    assert promise.threshold == rank - 1
    assert promise.guaranteed == pytest.approx(1 - rank / (n + 1))
    assert promise.guaranteed <= rate
    assert promise.spread == pytest.approx((n + 1 - rank, rank))
    assert (promise.low, promise.high) == pytest.approx(stats.beta.interval(0.95, n + 1 - rank, rank))


@pytest.mark.parametrize("rate, n", [(0.01, 240), (0.05, 240), (0.05, 19), (0.1, 60)])
def test_false_alarms_keep_the_promise_and_spread_as_stated(rate: float, n: int) -> None:
    """The rate of each calibration is known exactly here, from the normal distribution function."""
    rng = np.random.default_rng(1)
    promises = [conformal(single(rng.normal(size=n)), rate) for _ in range(500)]
    rates = np.array([stats.norm.sf(promise.threshold) for promise in promises])
    error = rates.std() / np.sqrt(len(rates))
    assert rates.mean() <= promises[0].guaranteed + 3 * error
    assert rates.mean() >= promises[0].guaranteed - 3 * error
    inside = [each.low <= true <= each.high for each, true in zip(promises, rates, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def test_replies_of_one_dialogue_may_be_alike() -> None:
    """Dialogues of one to four replies, which differ more between than within dialogues."""
    rng = np.random.default_rng(2)

    def draw(dialogues: int) -> list[list[float]]:
        return [list(rng.normal() + 0.3 * rng.normal(size=rng.integers(1, 5))) for _ in range(dialogues)]

    rates, inside = [], []
    for _ in range(300):
        promise = conformal(draw(100), 0.05)
        rates.append(stats.norm.sf(promise.threshold, scale=np.sqrt(1.09)))
        inside.append(promise.low <= rates[-1] <= promise.high)
    assert promise.guaranteed == 0.05
    assert np.mean(rates) <= 0.05 + 3 * np.std(rates) / np.sqrt(len(rates))
    assert np.mean(inside) >= 0.93


def test_a_chatty_dialogue_weighs_no_more_than_another() -> None:
    loud = [[9.0] * 1000]
    quiet = single(np.arange(99) / 100)
    assert conformal(quiet + loud, 0.05).threshold < 1.0


@pytest.mark.parametrize("values", [1, 2, 5, 20])
def test_scores_that_tie_only_make_alarms_rarer(values: int) -> None:
    rng = np.random.default_rng(3)
    rates = []
    for _ in range(100):
        promise = conformal(single(rng.integers(values, size=150)), 0.05)
        rates.append((values - 1 - promise.threshold) / values)
        assert promise.low == 0.0
        assert rates[-1] <= max(promise.high, 0.0) or values > 5
    assert np.mean(rates) <= 0.05


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_rate_is_between_0_and_1(rate: float) -> None:
    with pytest.raises(CalibrationError, match="over 0 and under 1"):
        conformal(single(np.arange(200)), rate)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(CalibrationError, match="not numbers"):
        conformal([*single(np.arange(100)), [bad]], 0.05)


def test_a_dialogue_without_replies_is_refused() -> None:
    with pytest.raises(CalibrationError, match="without replies"):
        conformal([*single(np.arange(100)), []], 0.05)
