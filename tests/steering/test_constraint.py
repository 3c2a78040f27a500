from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from affekt.steering.constraint import hold, join, stack
from affekt.steering.program import Hold

D = 12


def held(mode, unit: Tensor, weight: Tensor | None = None, low: float = 0.0, high: float = 0.0) -> Hold:
    unit = unit / unit.norm()
    if mode == "ablate":
        return Hold(0, "ablate", unit, unit)
    weight = unit if weight is None else weight / (weight @ unit)
    return Hold(0, mode, unit, weight, (low,), (high,))


def solve(residual: Tensor, holds: list[Hold], strength: float | None = None) -> Tensor:
    """The residuals [tokens d] under the constraints, each with its bounds of the first position."""
    joint = join(holds)
    kept = [one for one in holds if one.mode != "ablate"]
    shape = (1, len(residual), len(kept))
    low, high = (torch.tensor([side(one)[0] for one in kept]).expand(shape) for side in (_low, _high))
    part = None if strength is None else torch.full(shape, strength)
    removing = None if strength is None else torch.full((1, len(residual), joint.basis.shape[1]), strength)
    return hold(residual[None], joint, low, high, removing, part)[0]


def _low(one: Hold) -> tuple[float, ...]:
    return one.low


def _high(one: Hold) -> tuple[float, ...]:
    return one.high


def brute(residual: Tensor, holds: list[Hold]) -> Tensor:
    """The definition itself, for one residual: every choice of which bounds push, checked."""
    h = residual.double()
    units, weights = (
        torch.stack([getattr(one, part) for one in holds]).double() for part in ("unit", "weight")
    )
    choices = [(0.0,) if one.mode == "ablate" else sorted({*_low(one), *_high(one)}) for one in holds]
    options = [
        [(target, True) for target in own] + ([(0.0, False)] if one.mode == "clamp" else [])
        for one, own in zip(holds, choices, strict=True)
    ]
    for choice in product(*options):
        active = [i for i, (target, pushes) in enumerate(choice) if pushes and np.isfinite(target)]
        if any(pushes and not np.isfinite(target) for target, pushes in choice):
            continue
        targets = torch.tensor([choice[i][0] for i in active], dtype=torch.float64)
        amounts = torch.linalg.solve(weights[active] @ units[active].T, targets - weights[active] @ h)
        moved = h + amounts @ units[active]
        now = weights @ moved
        good = all(
            one.mode != "clamp" or _low(one)[0] - 1e-7 <= now[i] <= _high(one)[0] + 1e-7
            for i, one in enumerate(holds)
        )
        for i, amount in zip(active, amounts.tolist(), strict=True):
            if holds[i].mode == "clamp" and _low(holds[i]) != _high(holds[i]):
                good &= amount >= -1e-7 if choice[i][0] == _low(holds[i])[0] else amount <= 1e-7
        if good:
            return moved.float()
    raise AssertionError("no choice of active bounds fits")


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def some(seed: int, modes: list[str]) -> list[Hold]:
    """Constraints whose read-outs belong to one covariance, as whitened ones do."""
    mixing = draw(seed, D, D) * 0.3 + torch.eye(D)
    weights = draw(seed + 1, len(modes), D)
    units = weights @ (mixing @ mixing.T)
    bounds = draw(seed + 2, len(modes), 2).sort(dim=1).values.tolist()
    holds = [
        held(mode, unit, weight, low, low if mode == "set" else high)
        for mode, unit, weight, (low, high) in zip(modes, units, weights, bounds, strict=True)
    ]
    coupling = torch.stack([one.weight for one in holds]) @ torch.stack([one.unit for one in holds]).T
    assume(torch.linalg.svdvals(coupling)[-1] > 0.02)
    return holds


def test_ablation_leaves_nothing_in_the_span():
    residual, units = draw(0, 5, D) * 10, draw(1, 3, D)
    moved = solve(residual, [held("ablate", unit) for unit in units])
    basis = torch.linalg.qr(units.T).Q
    assert torch.allclose(moved @ units.T, torch.zeros(5, 3), atol=1e-5)
    assert torch.allclose(moved, residual - residual @ basis @ basis.T, atol=1e-5)


@pytest.mark.parametrize("apart", [1e-1, 1e-2, 1e-3, 1e-4])
def test_ablating_near_synonyms_is_exact_and_tame(apart):
    one, other = draw(2, 2, D)
    residual = draw(3, 5, D) * 10
    moved = solve(residual, [held("ablate", one), held("ablate", one + apart * other)])
    basis = torch.linalg.qr(torch.stack([one, other], 1).double()).Q
    expected = residual - (residual.double() @ basis @ basis.T).float()
    assert torch.allclose(moved @ one, torch.zeros(5), atol=1e-4)
    assert torch.allclose(moved, expected, atol=1e-5 / apart)
    assert (moved.norm(dim=1) <= residual.norm(dim=1)).all()


def test_set_reaches_its_value_along_its_own_direction():
    residual, unit, weight = draw(0, 5, D), draw(1, D), draw(2, D)
    weight = weight * torch.sign(weight @ unit)
    one = held("set", unit, weight, 1.5, 1.5)
    moved = solve(residual, [one])
    assert torch.allclose(moved @ one.weight, torch.full((5,), 1.5), atol=1e-4)
    step = moved - residual
    assert torch.allclose(step, (step @ one.unit)[:, None] * one.unit, atol=1e-4)


def test_a_clamp_moves_only_what_is_outside():
    one = held("clamp", torch.eye(D)[0], low=-1.0, high=2.0)
    residual = draw(0, 4, D)
    residual[:, 0] = torch.tensor([-3.0, 0.5, 2.0, 9.0])
    moved = solve(residual, [one])
    assert moved[:, 0].tolist() == pytest.approx([-1.0, 0.5, 2.0, 2.0])
    assert torch.equal(moved[:, 1:], residual[:, 1:])
    assert solve(residual, [held("clamp", torch.eye(D)[0], low=-1.0, high=torch.inf)])[3, 0] == 9.0


modes = st.lists(st.sampled_from(["ablate", "clamp", "set"]), min_size=1, max_size=7)


@given(modes, st.integers(0, 10**6))
@settings(max_examples=150)
def test_any_mixture_agrees_with_the_definition(modes, seed):
    holds = some(seed, modes)
    residual = draw(seed + 3, 4, D) * 2
    moved = solve(residual, holds)
    for h, found in zip(residual, moved, strict=True):
        scale = float((brute(h, holds) - h).norm()) + 1.0
        assert torch.allclose(found, brute(h, holds), atol=2e-4 * scale)


@given(modes, st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_order_does_not_matter(modes, seed, random):
    holds = some(seed, modes)
    residual = draw(seed + 3, 4, D)
    shuffled = random.sample(holds, len(holds))
    assert torch.allclose(solve(residual, holds), solve(residual, shuffled), atol=1e-3)


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_it_is_the_smallest_change_where_read_out_and_direction_agree(seed):
    """Against a general optimiser, over the span of the directions."""
    units = draw(seed, 3, D)
    units = units / units.norm(dim=1, keepdim=True)
    bounds = draw(seed + 1, 3, 2).sort(dim=1).values
    holds = [
        held("clamp", unit, None, *low_high.tolist()) for unit, low_high in zip(units, bounds, strict=True)
    ]
    residual = draw(seed + 2, 1, D) * 2
    basis = torch.linalg.qr(units.double().T).Q
    coordinates, start = (units.double() @ basis).numpy(), (units.double() @ residual[0].double()).numpy()
    low, high = bounds.double().numpy().T
    best = minimize(
        lambda step: step @ step,
        np.linalg.solve(coordinates, (low + high) / 2 - start),
        jac=lambda step: 2 * step,
        method="SLSQP",
        constraints=[
            {"type": "ineq", "fun": lambda step: coordinates @ step + start - low},
            {"type": "ineq", "fun": lambda step: high - coordinates @ step - start},
        ],
        options={"ftol": 1e-12},
    )
    assume(best.success)
    moved = solve(residual, holds)
    assert float((moved - residual).norm()) == pytest.approx(np.linalg.norm(best.x), abs=1e-3)
    assert torch.allclose(moved[0], residual[0] + (basis @ torch.tensor(best.x)).float(), atol=2e-3)


def test_demands_on_one_and_the_same_direction_are_met_half_way():
    unit = draw(0, D)
    residual = draw(1, 3, D)
    moved = solve(residual, [held("set", unit, None, 1.0, 1.0), held("set", unit, None, -2.0, -2.0)])
    assert torch.allclose(moved @ (unit / unit.norm()), torch.full((3,), -0.5), atol=1e-4)
    both = [held("clamp", unit, None, -torch.inf, 0.0), held("clamp", unit, None, -torch.inf, -0.5)]
    moved = solve(residual + 3 * unit, both)
    assert torch.isfinite(moved).all()
    assert torch.allclose(solve(residual - 9 * unit, both), residual - 9 * unit)


def test_setting_what_is_ablated_gives_way_to_the_ablation():
    unit = draw(0, D)
    residual = draw(1, 3, D)
    moved = solve(residual, [held("set", unit, None, 5.0, 5.0), held("ablate", unit)])
    assert torch.allclose(moved, solve(residual, [held("ablate", unit)]), atol=1e-5)


def test_strength_is_a_share_of_the_way():
    unit = torch.eye(D)[0]
    residual = draw(0, 4, D) * 3
    for one, other in ((held("ablate", unit), 0.0), (held("set", unit, None, 2.0, 2.0), 2.0)):
        half = solve(residual, [one], strength=0.5)[:, 0]
        assert torch.allclose(half, (residual[:, 0] + other) / 2, atol=1e-5)
    clamp = held("clamp", unit, None, -1.0, 1.0)
    expected = (residual[:, 0] + residual[:, 0].clamp(-1, 1)) / 2
    assert torch.allclose(solve(residual, [clamp], strength=0.5)[:, 0], expected, atol=1e-5)
    assert torch.allclose(solve(residual, [clamp], strength=1.0), solve(residual, [clamp]))


def test_partial_ablations_of_several_directions_take_off_their_own_share():
    residual, units = draw(0, 4, D), draw(1, 2, D)
    units = units / units.norm(dim=1, keepdim=True)
    joint = join([held("ablate", unit) for unit in units])
    none = torch.zeros(1, 4, 0)
    moved = hold(residual[None], joint, none, none, torch.tensor([0.25, 1.0]).expand(1, 4, 2))[0]
    assert torch.allclose(moved @ units[0], 0.75 * (residual @ units[0]), atol=1e-5)
    assert torch.allclose(moved @ units[1], torch.zeros(4), atol=1e-5)


@given(st.lists(modes, min_size=2, max_size=4), st.integers(0, 10**6))
@settings(max_examples=50)
def test_rows_side_by_side_do_not_touch_each_other(rows, seed):
    sets = [some(seed + 7 * i, modes) for i, modes in enumerate(rows)]
    residual = draw(seed, len(sets), 1, D) * 2
    joints = [join(holds) for holds in sets]
    joint = stack(joints)
    low, high = (torch.full((len(sets), 1, joint.weight.shape[1]), fill) for fill in (-torch.inf, torch.inf))
    for row, holds in enumerate(sets):
        kept = [one for one in holds if one.mode != "ablate"]
        for i, one in enumerate(kept):
            low[row, 0, i], high[row, 0, i] = one.low[0], one.high[0]
    together = hold(residual, joint, low, high)
    for row, holds in enumerate(sets):
        assert torch.allclose(together[row], solve(residual[row], holds), atol=1e-3)
