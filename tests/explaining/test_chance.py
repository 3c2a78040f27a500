"""Effects against chance: the interval covers as promised, whatever the shares."""

from __future__ import annotations

import numpy as np
import pytest

from affekt.errors import CalibrationError
from affekt.explaining.chance import chance


def test_equal_shares_give_the_plain_mean_and_deviation() -> None:
    effects = [1.0, 2.0, 4.0, 3.0, 0.0, 2.0]
    found = chance(effects, [0.1] * 6).verdict(7.0, 0.1)
    assert found.expected == pytest.approx(np.mean(effects))
    assert found.excess == pytest.approx(7.0 - np.mean(effects))
    deviation = np.std(effects, ddof=1) * np.sqrt(1 + 1 / 6)
    assert found.z == pytest.approx(found.excess / deviation, rel=1e-4)
    assert found.high - found.excess == pytest.approx(2.5706 * deviation, rel=1e-3)
    assert found.low == pytest.approx(2 * found.excess - found.high)


def test_the_interval_covers_and_p_is_uniform_under_chance() -> None:
    rng = np.random.default_rng(0)
    shares = rng.uniform(0.001, 0.02, size=12)
    verdicts = []
    for _ in range(1500):
        own = rng.uniform(0.001, 0.02)
        effects = 30 * shares + rng.standard_normal(12) * np.sqrt(5 * shares)
        effect = 30 * own + rng.standard_normal() * np.sqrt(5 * own)
        verdicts.append(chance(effects.tolist(), shares.tolist()).verdict(float(effect), own))
    inside = np.mean([one.low < 0 < one.high for one in verdicts])
    assert 0.935 < inside < 0.965
    for level in (0.01, 0.1, 0.5):
        assert np.mean([one.p < level for one in verdicts]) == pytest.approx(level, abs=0.035)


def test_no_effect_at_all_is_no_evidence() -> None:
    found = chance([0.0] * 5, [0.1] * 5).verdict(0.0, 0.1)
    assert found.z == 0.0 and found.p == 1.0 and found.low < 0 < found.high
    assert abs(chance([0.0] * 5, [0.1] * 5).verdict(1e-6, 0.1).z) < 1


def test_too_few_random_directions_are_refused() -> None:
    with pytest.raises(CalibrationError, match="3 random directions; a comparison needs at least 4"):
        chance([1.0, 2.0, 3.0], [0.1] * 3)
