"""The controller on simulated plants: first-order lags with a delay, as strong as it promises to handle."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from affekt.errors import PolicyError
from affekt.guards.homeostat import Homeostat, State

PLANTS = list(itertools.product([0.01, 0.03, 0.06], [0.3, 0.6, 1.0], [0, 2, 5, 10], [0, 1, 2, 4]))
"""Gain, reach as a share of what that gain can handle, time constant and delay in tokens."""


@dataclass
class Run:
    excess: np.ndarray
    doses: np.ndarray
    states: list[State]

    @property
    def starts(self) -> int:
        active = [False, *(state.active for state in self.states)]
        return sum(now and not before for before, now in itertools.pairwise(active))


def simulate(
    homeostat: Homeostat,
    push: Callable[[int], float],
    reach: float,
    lag: float = 0.0,
    delay: int = 0,
    tokens: int = 600,
    noise: float = 0.0,
) -> Run:
    """A reading that `push` drives and `reach` times the lagged, delayed dose holds down."""
    rng = np.random.default_rng(0)
    follow = 1.0 if lag == 0 else 1 - math.exp(-1 / lag)
    state, felt = State(), 0.0
    doses, excess, states = [0.0] * (delay + 1), [], []
    for token in range(tokens):
        felt += follow * (doses[-1 - delay] - felt)
        excess.append(push(token) - reach * felt + noise * rng.normal())
        state = homeostat.step(state, excess[-1])
        doses.append(state.dose)
        states.append(state)
    return Run(np.array(excess), np.array(doses[delay + 1 :]), states)


@pytest.mark.parametrize("gain, share, lag, delay", PLANTS)
def test_a_lasting_push_is_held_under_the_threshold_without_oscillation(
    gain: float, share: float, lag: float, delay: int
) -> None:
    reach = share * 0.25 / gain
    push = min(0.5 * reach, 4.0)
    run = simulate(Homeostat(gain=gain), lambda _: push, reach, lag, delay)
    late = run.excess[400:]
    assert late.max() <= 0
    assert np.ptp(late) < 0.1 and np.ptp(run.doses[400:]) < 0.05
    assert run.starts <= 2
    assert late.mean() == pytest.approx(-0.5, abs=0.1)


@pytest.mark.parametrize("lag, delay", list(itertools.product([0, 5, 10], [0, 4])))
def test_it_returns_soon_and_swings_die_out(lag: float, delay: int) -> None:
    run = simulate(Homeostat(), lambda _: 3.0, 8.0, lag, delay)
    assert int(np.argmax(run.excess <= 0)) <= 40
    swings = [np.ptp(run.excess[start : start + 40]) for start in (40, 120, 200)]
    assert swings[2] <= 0.05 or swings[0] > 2 * swings[1] > 4 * swings[2]


def test_a_passing_push_leaves_nothing_behind() -> None:
    run = simulate(Homeostat(release=8), lambda token: 2.0 if 20 <= token < 80 else -2.0, 5.0)
    active = [state.active for state in run.states]
    assert not any(active[:20]) and all(active[20:80])
    assert not any(active[120:]) and run.starts == 1
    assert 80 <= active.index(False, 20) <= 100
    assert run.states[-1].dose == 0.0 and run.states[-1].integral == 0.0


def test_one_spike_costs_little() -> None:
    run = simulate(Homeostat(release=8), lambda token: 0.5 if token == 10 else -3.0, 5.0, tokens=40)
    assert run.doses.max() < 0.2
    assert np.count_nonzero(run.doses) <= 2
    assert sum(state.active for state in run.states) == 8


def test_a_push_beyond_its_reach_does_not_wind_it_up() -> None:
    run = simulate(Homeostat(), lambda token: 50.0 if token < 400 else -3.0, 3.0)
    assert run.doses.max() == 1.0 and run.states[399].integral <= 1.0
    assert run.doses[412] == 0.0


def test_noise_does_not_start_an_oscillation() -> None:
    calm = simulate(Homeostat(), lambda _: 1.0, 0.0, noise=1.0)
    held = simulate(Homeostat(), lambda _: 1.0, 5.0, lag=2, delay=1, noise=1.0)
    assert held.excess[100:].mean() == pytest.approx(-0.5, abs=0.15)
    assert held.excess[100:].std() < 1.15 * calm.excess[100:].std()


def test_the_dose_stays_within_the_dial() -> None:
    homeostat, state = Homeostat(gain=0.1), State()
    for excess in np.random.default_rng(0).standard_cauchy(5000):
        state = homeostat.step(state, float(excess))
        assert 0.0 <= state.dose <= 1.0 and 0.0 <= state.integral <= 1.0


def test_a_reading_that_is_no_number_is_countered_in_full() -> None:
    state = Homeostat().step(State(), math.inf)
    assert state.active and state.dose == 1.0
    assert math.isfinite(state.smooth)


def test_nothing_happens_under_the_threshold() -> None:
    assert Homeostat().step(State(), 0.0) == State(calm=1)
    assert Homeostat().step(State(calm=3), -5.0) == State(calm=4)


@pytest.mark.parametrize(
    "settings", [{"gain": 0.0}, {"gain": 1.0}, {"gain": math.nan}, {"release": 0}, {"band": 0.0}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(PolicyError):
        Homeostat(**settings)
