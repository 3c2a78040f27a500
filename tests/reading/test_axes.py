from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from affekt.concepts.concept import emotions
from affekt.errors import ReadingError
from affekt.reading.axes import PENALTIES, arousal, fit_axis, normed_mean, valence
from tests.reading.readings import made

NORMED = [c for c in emotions() if c.valence is not None]
NAMES = tuple(c.name for c in NORMED)


def spoken(z: np.ndarray, concepts: tuple[str, ...] = NAMES):
    return made([(" word", "text")] * len(z), z, concepts)


def words(signal: float, n: int = 45, width: int = 200, seed: int = 0):
    rng = np.random.default_rng(seed)
    ratings = rng.uniform(-1, 1, n)
    direction = rng.normal(size=width)
    direction /= np.linalg.norm(direction)
    return rng.normal(size=(n, width)) + signal * ratings[:, None] * direction, ratings, direction


def test_a_direction_that_is_there_is_found():
    vectors, ratings, direction = words(signal=12)
    axis = fit_axis(vectors, ratings)
    assert axis.direction @ direction / np.linalg.norm(axis.direction) > 0.8
    assert axis.r_cross_validated > 0.85 and axis.n == 45
    low, high = axis.interval
    assert low < axis.r_cross_validated < high
    np.testing.assert_allclose(axis.of(vectors[:3]), vectors[:3] @ axis.direction)


def test_noise_does_not_look_like_a_direction():
    found = [fit_axis(*words(signal=0, seed=seed)[:2], repeats=5, resamples=200) for seed in range(60)]
    assert np.mean([axis.r_cross_validated for axis in found]) < 0.05
    assert np.mean([axis.interval[0] > 0 for axis in found]) <= 0.1


def test_the_fit_is_ridge_with_the_least_leave_one_out_error():
    vectors, ratings, _ = words(signal=6, n=20, width=30)
    centred = vectors - vectors.mean(axis=0)
    unit = np.trace(centred @ centred.T) / len(ratings)

    def error(penalty: float) -> float:
        predicted = cross_val_predict(Ridge(alpha=penalty), vectors, ratings, cv=LeaveOneOut())
        return float(((predicted - ratings) ** 2).mean())

    # The unit is of the words at hand; leaving one out moves it a little, so the penalty is taken from here.
    best = min(PENALTIES * unit, key=error)
    expected = Ridge(alpha=best).fit(vectors, ratings).coef_
    np.testing.assert_allclose(fit_axis(vectors, ratings).direction, expected, rtol=1e-6, atol=1e-9)


def test_the_same_call_gives_the_same_axis():
    vectors, ratings, _ = words(signal=5)
    one, two = fit_axis(vectors, ratings), fit_axis(vectors, ratings)
    assert one.r_cross_validated == two.r_cross_validated and one.interval == two.interval


@pytest.mark.parametrize(
    ("vectors", "ratings", "message"),
    [
        (np.ones((9, 4)), np.arange(9.0), "at least 10"),
        (np.ones((12, 4)), np.ones(12), "all 12 ratings are 1"),
        (np.full((12, 4), np.nan), np.arange(12.0), "not finite"),
    ],
)
def test_too_little_to_fit_is_an_error(vectors, ratings, message):
    with pytest.raises(ReadingError, match=message):
        fit_axis(vectors, ratings)


def test_valence_follows_the_words_people_rate_as_pleasant():
    ratings = np.array([c.valence for c in NORMED])
    trace = valence(spoken(np.stack([ratings, -ratings, np.zeros(len(ratings))])))
    assert trace.name == "valence" and trace.n == len(NORMED) == 45
    assert trace.values[0] > 0.3 and trace.values[1] == pytest.approx(-trace.values[0])
    assert trace.values[2] == 0
    assert (trace.low <= trace.values).all() and (trace.values <= trace.high).all()
    assert trace.low[0] > 0 and trace.high[1] < 0


def test_an_offset_that_all_concepts_share_cancels():
    z = np.random.default_rng(0).normal(size=(4, len(NAMES)))
    for axis in (valence, arousal):
        np.testing.assert_allclose(axis(spoken(z + 3)).values, axis(spoken(z)).values, atol=1e-6)


def test_arousal_is_weighted_by_its_own_norms():
    ratings = np.array([c.arousal for c in NORMED])
    assert arousal(spoken(ratings[None])).values[0] > valence(spoken(ratings[None])).values[0]


def test_concepts_without_norms_have_no_say():
    rng = np.random.default_rng(0)
    z, other = rng.normal(size=(3, len(NAMES))), rng.normal(size=(3, 1))
    with_other = spoken(np.hstack([z, other]), (*NAMES, "unheard-of"))
    np.testing.assert_array_equal(valence(with_other).values, valence(spoken(z)).values)


def test_too_few_words_with_norms_is_an_error_that_says_how_many():
    reading = spoken(np.zeros((1, 3)), (*NAMES[:2], "unheard-of"))
    with pytest.raises(ReadingError, match=r"at least 10 concepts .*; this reading has 2"):
        valence(reading)
    same = dict.fromkeys(NAMES, 0.5)
    with pytest.raises(ReadingError, match="different human norms"):
        normed_mean(replace(spoken(np.zeros((1, 45)))), same, "sameness")


def test_a_long_text_gets_the_same_interval_at_every_place():
    row = np.random.default_rng(0).normal(size=(1, len(NAMES)))
    trace = valence(spoken(np.repeat(row, 2100, axis=0)))
    assert np.ptp(trace.low) < 1e-6 and np.ptp(trace.high) < 1e-6
    assert trace.low[0] < trace.values[0] < trace.high[0]
