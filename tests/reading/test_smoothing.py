from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affekt.errors import ReadingError
from affekt.reading.smoothing import exponential, window
from tests.reading.readings import chat, made, parts


def column(*values: float):
    """The values after a first token of 300."""
    return made([("a", "text")] * (len(values) + 1), np.array([300, *values])[:, None], ("calm",))


def test_exponential_halves_a_weight_every_half_life():
    smoothed = exponential(column(1, 0, 0), half_life=1)
    np.testing.assert_allclose(smoothed.of("calm")[1:], [1, 0.5 / 1.5, 0.25 / 1.75], rtol=1e-6)
    two = exponential(column(1, 0, 0), half_life=2)
    assert two.of("calm")[3] == pytest.approx(0.5 / (1 + 0.5**0.5 + 0.5))


def test_window_is_the_mean_of_the_last_n():
    np.testing.assert_allclose(window(column(1, 2, 3, 10), 2).of("calm")[1:], [1, 1.5, 2.5, 6.5])


@given(parts(span=100), st.floats(0.1, 50), st.integers(1, 12))
def test_smoothing_stays_within_the_values_so_far_and_changes_nothing_else(of, half_life, n):
    reading = made(*of)
    for smoothed in (exponential(reading, half_life), window(reading, n)):
        assert (smoothed.text, smoothed.tokens, smoothed.concepts) == (
            reading.text,
            reading.tokens,
            reading.concepts,
        )
        for name in ("z", "cosine", "projection"):
            before, after = getattr(reading, name), getattr(smoothed, name)
            assert after.shape == before.shape and after.dtype == before.dtype
            np.testing.assert_array_equal(after[:1], before[:1])
            before, after = before[1:], after[1:]
            slack = 1e-4 * (1 + np.abs(before).max(initial=0))
            if len(before):
                assert (after <= np.maximum.accumulate(before) + slack).all()
                assert (after >= np.minimum.accumulate(before) - slack).all()


@given(parts(span=100), st.integers(1, 12))
def test_a_later_token_has_no_say_in_an_earlier_value(of, n):
    reading = made(*of)
    half = len(reading) // 2
    first = reading.take(range(half))
    np.testing.assert_allclose(window(reading, n).z[:half], window(first, n).z, atol=1e-4)
    np.testing.assert_allclose(exponential(reading, n).z[:half], exponential(first, n).z, atol=1e-4)


@given(parts())
def test_a_window_of_one_is_the_reading_itself(of):
    reading = made(*of)
    np.testing.assert_allclose(window(reading, 1).z, reading.z, rtol=1e-6, atol=1e-3)


def test_the_first_token_of_a_text_goes_into_no_other_but_that_of_a_part_does():
    whole = made([("a", "text")] * 3, np.array([[300.0], [1], [2]]), ("calm",))
    np.testing.assert_allclose(window(whole, 3).of("calm"), [300, 1, 1.5])
    np.testing.assert_allclose(window(whole.take([1, 2]), 3).of("calm"), [1, 1.5])
    spoken = window(chat().where("assistant"), 9).of("calm")
    np.testing.assert_allclose(spoken[1], chat().where("assistant").of("calm")[:2].mean(), rtol=1e-6)


def test_a_constant_stays_what_it_is():
    for smoothed in (exponential(column(*[2.5] * 9), 3), window(column(*[2.5] * 9), 4)):
        np.testing.assert_allclose(smoothed.of("calm")[1:], 2.5, rtol=1e-6)


def test_a_smoothed_reading_says_so():
    assert chat().smoothing == ""
    once = exponential(chat(), 2.5)
    assert once.smoothing == "exponential, half-life 2.5 tokens"
    assert window(once, 3).smoothing == "exponential, half-life 2.5 tokens, then mean of the last 3 tokens"


@pytest.mark.parametrize("half_life", [0.0, -1.0, float("nan"), float("inf")])
def test_a_half_life_must_be_above_0(half_life):
    with pytest.raises(ReadingError, match="half-life"):
        exponential(chat(), half_life)


def test_a_window_must_hold_a_token():
    with pytest.raises(ReadingError, match="window of 0"):
        window(chat(), 0)
