from __future__ import annotations

import math

import numpy as np
import pytest

from affekt.errors import CalibrationError
from affekt.steering.dose import largest_dose

NOISE = np.linspace(-0.2, 0.2, 21)
BASE = 2.0 + np.linspace(0, 1, 21)


def search(rise, bound=0.5, ceiling=1.0, **options):
    """A search over a made loss; the doses it asked for come back too."""
    asked: list[float] = []

    def loss(dose: float):
        asked.append(dose)
        return BASE + rise(dose) + (NOISE if dose else 0.0)

    return largest_dose(loss, bound, ceiling, **options), asked


def test_it_finds_where_the_bound_is_reached():
    dose, asked = search(lambda dose: 2 * abs(dose), refinements=8)
    assert 0.24 < dose.value < 0.25 and dose.rise == pytest.approx(2 * dose.value)
    assert dose.low < dose.rise < dose.high and dose.high - dose.low < 0.15
    assert dose.n == 21 and not dose.at_ceiling
    assert asked[0] == 0.0 and all(-dose in asked for dose in asked[1:] if 2 * dose < 0.5)


@pytest.mark.parametrize("worse", [1.0, -1.0])
def test_the_sign_that_costs_more_counts(worse):
    dose, _ = search(lambda dose: abs(dose) * (5 if dose * worse > 0 else 1), refinements=8)
    assert 0.095 < dose.value < 0.1 and dose.rise == pytest.approx(5 * dose.value)


def test_it_stops_at_the_first_dose_that_breaks_the_bound():
    dose, asked = search(lambda dose: 3.0 if 0.2 < abs(dose) < 0.5 else 0.0, steps=8, refinements=6)
    assert 0.15 < dose.value <= 0.2 and max(asked) < 0.5 and dose.rise < 0.5


def test_a_harmless_direction_ends_at_the_ceiling():
    dose, _ = search(lambda dose: -abs(dose))
    assert (dose.value, dose.at_ceiling) == (1.0, True) and dose.rise == pytest.approx(-1.0)


def test_a_direction_that_breaks_at_once_has_no_dose():
    dose, _ = search(lambda dose: math.inf if dose else 0.0)
    assert (dose.value, dose.rise, dose.n, dose.at_ceiling) == (0.0, 0.0, 21, False)


def test_below_the_grid_it_still_looks():
    dose, _ = search(lambda dose: 1e9 if abs(dose) > 0.025 else 0.0, floor=0.03)
    assert 0.015 < dose.value <= 0.025


def test_texts_without_a_loss_are_left_out_and_many_of_them_break_the_bound():
    def lost(share: float):
        return lambda dose: np.where(np.arange(21) < share * 21, np.nan, 0.0) if abs(dose) > 0.1 else 0.0

    dose, _ = search(lost(0.2))
    assert (dose.value, dose.n) == (1.0, 16)
    dose, _ = search(lost(0.6), refinements=6)
    assert 0.09 < dose.value <= 0.1
    dose, _ = search(lost(1.0), refinements=6)
    assert 0.09 < dose.value <= 0.1


def test_one_looping_text_breaks_the_bound_by_infinity():
    dose, _ = search(
        lambda dose: np.where(np.arange(21) == 3, math.inf if dose < -0.3 else 0.0, 0.0), refinements=8
    )
    assert 0.29 < dose.value <= 0.3


@pytest.mark.parametrize(
    "wrong", [dict(bound=0.0), dict(bound=math.nan), dict(ceiling=0.0), dict(floor=2.0), dict(steps=1)]
)
def test_nothing_to_search_is_an_error(wrong):
    with pytest.raises(CalibrationError, match="a search for doses needs"):
        search(abs, **wrong)


def test_no_loss_to_start_from_is_an_error():
    with pytest.raises(CalibrationError, match="at dose 0"):
        largest_dose(lambda dose: np.full(3, dose + np.nan), 0.5, 1.0)
