"""Intervals: that they cover, and that they are never certain of what was not seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from affekt.quality.bootstrap import count, gain, mean, share, statistic
from affekt.quality.figure import Figure, shown


def test_the_paired_bootstrap_covers_the_true_difference() -> None:
    rng = np.random.default_rng(1)
    covered, widths, unpaired = 0, [], []
    for _ in range(300):
        hard = rng.random(60)  # a text that is hard for one is hard for the other
        one, other = (hard < 0.6).astype(float), (hard < 0.5).astype(float)
        flip = rng.random(60) < 0.1
        one[flip] = 1 - one[flip]
        truth = 0.9 * 0.6 + 0.1 * 0.4 - 0.5
        figure = gain(one, other)
        covered += figure.low <= truth <= figure.high
        widths.append(figure.high - figure.low)
        unpaired.append(share(one).high - share(one).low)
    assert 0.90 <= covered / 300 <= 0.98
    assert np.mean(widths) < np.mean(unpaired)  # pairing takes the texts' own difficulty out


def test_texts_of_one_concept_do_not_count_as_many() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(size=20).repeat(10)
    alone, grouped = mean(own), mean(own, groups=[str(i) for i in range(20) for _ in range(10)])
    assert alone.value == pytest.approx(grouped.value)
    assert grouped.high - grouped.low > 2.5 * (alone.high - alone.low)


def test_what_never_happened_is_not_impossible() -> None:
    assert count(0, 60).low == 0 and 0.05 < count(0, 60).high < 0.07
    assert count(60, 60).high == pytest.approx(1) and 0.93 < count(60, 60).low < 0.95
    same = gain(np.zeros(60), np.zeros(60))
    assert same.value == 0 and same.low == -same.high and 0.05 < same.high < 0.07
    assert share(np.ones(12), groups=["a"] * 6 + ["b"] * 6).low < 0.6  # two draws only


def test_wilson_as_published() -> None:
    # Wilson (1927) for 81 of 263, as in Newcombe (1998), table I: 0.2553 to 0.3662.
    figure = count(81, 263)
    assert figure.low == pytest.approx(0.2553, abs=1e-4) and figure.high == pytest.approx(0.3662, abs=1e-4)


def test_no_interval_from_one() -> None:
    figure = mean(np.array([0.5]))
    assert figure.value == 0.5 and math.isnan(figure.low)
    assert mean(np.array([])).n == 0 and math.isnan(mean(np.array([np.nan])).value)


def test_nan_is_left_out() -> None:
    figure = mean(np.array([1.0, np.nan, 3.0]))
    assert (figure.value, figure.n) == (2.0, 2)


def test_a_statistic_with_its_interval() -> None:
    values = np.random.default_rng(0).normal(size=200)
    figure = statistic(lambda drawn: float(np.median(values[drawn])), 200, "words")
    assert figure.low < figure.value < figure.high and figure.high - figure.low < 0.6


def test_a_figure_in_words() -> None:
    assert str(Figure(0.4234, 0.3, 0.55, 60, "texts")) == "0.42 [0.30, 0.55] (n = 60 texts)"
    assert shown(Figure(0.0123, 0.001, 0.9, 3, "texts").to_dict()) == "0.012 [0.001, 0.90]"
    assert shown(Figure(24125.0, math.nan, math.nan, 3, "words").to_dict()) == "24,125"
    assert shown(Figure(math.nan, math.nan, math.nan, 0, "words").to_dict()) == "not defined"
    assert Figure(math.nan, math.inf, 0.0, 0, "x").to_dict()["low"] is None
