"""Shifts, floors and the correction for many concepts, on data of which the truth is known."""

from __future__ import annotations

import numpy as np
from scipy.stats import ttest_1samp

from affekt.audit.statistics import correlation, discoveries, floor_of, moved


def test_a_shift_is_tested_against_its_floor() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(60, 3)) + np.array([1.0, 0.0, 1.0])
    found = moved(data, np.array([0.0, 0.0, 2.0]))
    assert np.allclose(found.mean, data.mean(axis=0)) and found.n == 60
    assert (found.low < found.mean).all() and (found.mean < found.high).all()
    assert found.p[0] < 1e-6 and found.p[2] > 0.5
    two_sided = ttest_1samp(data[:, 0], 0.0).pvalue
    assert np.isclose(found.p[0], two_sided)
    assert np.isclose(moved(-data, np.zeros(3)).p[0], two_sided)
    assert np.isclose(
        moved(-data, np.full(3, 0.8)).p[0], ttest_1samp(data[:, 0], 0.8, alternative="greater").pvalue
    )


def test_the_rate_is_the_stated_one_at_a_floor_of_nothing() -> None:
    p = moved(np.random.default_rng(3).normal(size=(42, 4_000)), np.zeros(4_000)).p
    assert abs((p < 0.05).mean() - 0.05) < 0.014, "of 4000 tests of noise, four standard errors"
    at_floor = moved(np.random.default_rng(4).normal(size=(42, 4_000)) + 0.6, np.full(4_000, 0.6)).p
    assert abs((at_floor < 0.05).mean() - 0.05) < 0.014


def test_intervals_hold_what_they_promise() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(300):
        found = moved(rng.normal(size=(42, 1)) + 0.3, np.zeros(1), seed)
        hits += bool(found.low[0] <= 0.3 <= found.high[0])
    assert 0.9 <= hits / 300 <= 0.98


def test_prompts_without_a_reading_are_left_out() -> None:
    data = np.array([[1.0, 2.0], [3.0, 4.0], [np.nan, np.nan]])
    found = moved(data, np.zeros(2))
    assert found.n == 2 and np.allclose(found.mean, [2.0, 3.0])
    nothing = moved(data[2:], np.zeros(2))
    assert nothing.n == 0 and np.isnan(nothing.mean).all() and np.isnan(nothing.p).all()
    same = moved(np.zeros((5, 2)), np.zeros(2))
    assert (same.p == 1).all() and (same.mean == 0).all()


def test_the_floor_is_the_largest_harmless_shift() -> None:
    arms = np.array([[0.1, -0.4, 0.0, 3.0], [-0.2, 0.1, 0.0, -1.0]])
    floor = floor_of(arms, ["emotion", "emotion", "emotion", "axis"])
    assert floor[3] == 3.0
    assert floor[1] == 0.4
    assert np.isclose(floor[2], np.quantile([0.1, 0.4, 0.0], 0.95)), "none is under what its kind stays under"


def test_what_is_called_of_pure_noise() -> None:
    """Of 171 quantities that do not move, hardly any passes, with the floor or without."""
    rng = np.random.default_rng(2)
    called = 0
    for _ in range(20):
        data = rng.normal(size=(42, 171))
        called += int((discoveries(moved(data, np.zeros(171)).p) <= 0.05).sum())
    assert called / (20 * 171) < 0.01
    p = np.array([0.001, 0.04, 0.5])
    assert np.allclose(discoveries(p), [0.003, 0.06, 0.5])
    untested = discoveries(np.array([0.001, np.nan, 0.04, 0.5]))
    assert np.allclose(untested, [0.003, np.nan, 0.06, 0.5], equal_nan=True)


def test_correlation_of_what_does_not_vary() -> None:
    assert np.isnan(correlation(np.ones(5), np.arange(5.0)))
    assert np.isnan(correlation(np.full(5, np.nan), np.arange(5.0)))
    assert np.isclose(correlation(np.arange(5.0), -np.arange(5.0)), -1)
