"""Holding several read-outs at once, by moves along their own directions; their order does not matter.

At a token with residual `h`, constraint `i` wants `low_i <= w_i . h' <= high_i`. The answer is `h' = h +
sum_i a_i u_i` where `a_i` is not 0 only for an ablation, a set, or a clamp that sits at a bound and pushes
inward: a linear complementarity problem in `G_ij = w_i . u_j`. Where each read-out is its own direction, or
both belong to one covariance (`u_i = S w_i`), this `h'` is the one nearest to `h` that keeps all bounds.

Ablations come first and always hold: the others move only along what is left of their directions. Sets and
clamps are met to rounding unless two of them are all but the same: where a singular value of G, whose
diagonal is 1, falls under `RCOND` (for two concepts, a cosine above 0.999), demands that contradict each
other are met in the least-squares sense.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from affekt.steering.program import Hold

__all__ = ["RCOND", "Joint", "grown", "hold", "join", "stack"]

RCOND = 1e-3
"""Singular values of the coupling under this count as zero."""

RCOND_ABLATED = 1e-6
"""The same for unit directions that are ablated together, whose demands cannot contradict each other."""

MAX_TABLE = 5
"""Most coupled holds for which all choices of those in force are inverted beforehand."""


@dataclass(frozen=True)
class Joint:
    """Constraints in force together on the same tokens, prepared; `rows` such sets side by side, padded."""

    basis: Float[Tensor, "rows ablations d_model"]
    """Orthonormal basis of the directions to project out; zeros as padding and where they are dependent."""
    mixed: Float[Tensor, "rows ablations ablations"]
    """The directions themselves in that basis."""
    unmixed: Float[Tensor, "rows ablations ablations"]
    """Its pseudo-inverse."""
    weight: Float[Tensor, "rows holds d_model"]
    """Read-outs; zeros as padding."""
    move: Float[Tensor, "rows holds d_model"]
    """What is moved along: the directions without their ablated part."""
    coupling: Float[Tensor, "rows holds holds"]
    """`weight . move`, 1 on the diagonal unless ablations take part; float64; the identity as padding."""
    inverse: Float[Tensor, "rows holds holds"]
    """Its pseudo-inverse, float32."""
    fixed: Bool[Tensor, "rows holds"]
    """Whether a value is set, so that it is always in force."""
    coupled: bool
    """Whether there are several holds, clamps among them, so that those in force must be found."""
    subsets: Float[Tensor, "rows subsets holds holds"] | None
    """Pseudo-inverses for each choice of holds in force, by its bits; none for uncoupled or many holds."""

    def to(self, device: torch.device) -> Joint:
        """The same on another device."""
        parts = {own.name: getattr(self, own.name) for own in fields(self)}
        there: dict[str, Any] = {name: p.to(device) for name, p in parts.items() if isinstance(p, Tensor)}
        return replace(self, **there)


def join(holds: Sequence[Hold]) -> Joint:
    """Prepares constraints which act together, as one row.

    Args:
        holds: at least one; ablations and the others may stand in any order.
    """
    empty = holds[0].unit.new_zeros(0, holds[0].unit.shape[0])
    gone, kept = [h for h in holds if h.mode == "ablate"], [h for h in holds if h.mode != "ablate"]
    ablated = _exact(torch.stack([h.unit for h in gone]) if gone else empty)
    basis = _basis(ablated)
    mixed = ablated @ basis.mT
    weight = torch.stack([h.weight for h in kept]) if kept else empty
    move = _exact(torch.stack([h.unit for h in kept]) if kept else empty)
    move = move - move @ basis.mT @ basis
    coupling = _exact(weight) @ move.mT
    coupled = len(kept) > 1 and any(h.mode == "clamp" for h in kept)
    return Joint(
        basis=basis.float()[None],
        mixed=mixed.float()[None],
        unmixed=torch.linalg.pinv(mixed).float()[None] if gone else mixed.float()[None],
        weight=weight[None],
        move=move.float()[None],
        coupling=coupling[None],
        inverse=_inverse(coupling).float()[None],
        fixed=torch.tensor([[h.mode == "set" for h in kept]], dtype=torch.bool, device=weight.device),
        coupled=coupled,
        subsets=_subsets(coupling[None]) if coupled else None,
    )


def stack(joints: Sequence[Joint]) -> Joint:
    """Several rows' constraints side by side, padded with ones that ask for nothing."""
    ablations = max(joint.basis.shape[1] for joint in joints)
    holds = max(joint.weight.shape[1] for joint in joints)

    def rows(part: Callable[[Joint], Tensor], size: int) -> Tensor:
        return torch.cat([grown(part(joint), 1, size) for joint in joints])

    def square(part: Callable[[Joint], Tensor], size: int) -> Tensor:
        parts = [grown(grown(part(joint), 1, size), 2, size) for joint in joints]
        for whole, joint in zip(parts, joints, strict=True):
            whole[0].diagonal()[part(joint).shape[1] :] = 1.0
        return torch.cat(parts)

    coupled, coupling = any(joint.coupled for joint in joints), square(lambda j: j.coupling, holds)
    return Joint(
        basis=rows(lambda j: j.basis, ablations),
        mixed=square(lambda j: j.mixed, ablations),
        unmixed=square(lambda j: j.unmixed, ablations),
        weight=rows(lambda j: j.weight, holds),
        move=rows(lambda j: j.move, holds),
        coupling=coupling,
        inverse=square(lambda j: j.inverse, holds),
        fixed=rows(lambda j: j.fixed, holds),
        coupled=coupled,
        subsets=_subsets(coupling) if coupled else None,
    )


def hold(
    residual: Float[Tensor, "rows tokens d_model"],
    joint: Joint,
    low: Float[Tensor, "rows tokens holds"],
    high: Float[Tensor, "rows tokens holds"],
    removing: Float[Tensor, "rows tokens ablations"] | None = None,
    strength: Float[Tensor, "rows tokens holds"] | None = None,
) -> Float[Tensor, "rows tokens d_model"]:
    """The residual moved so that the constraints are met.

    Args:
        residual: float32.
        joint: the constraints, one set per row.
        low: least read-outs allowed; minus infinity where there is none, and as padding.
        high: largest read-outs allowed; infinity where there is none, and as padding.
        removing: share of each projection to take off; none: all of it.
        strength: share of the way to the nearest allowed read-out that each goes, over 0; none: all of it.
    """
    if joint.basis.shape[1]:
        there = residual @ joint.basis.mT
        if removing is not None:
            there = (there @ joint.mixed.mT * removing) @ joint.unmixed.mT
        residual = residual - there @ joint.basis
    if not joint.weight.shape[1]:
        return residual
    now = residual @ joint.weight.mT
    if strength is not None:
        part_low, part_high = now + strength * (low - now), now + strength * (high - now)
        low, high = (
            torch.where(joint.fixed[:, None], part_low, torch.minimum(low, part_low)),
            torch.where(joint.fixed[:, None], part_high, torch.maximum(high, part_high)),
        )
    if joint.coupled:
        amount = _amounts(now, low, high, joint)
    else:
        amount = (now.clamp(low, high) - now) @ joint.inverse.mT
    return residual + amount @ joint.move


def _amounts(
    now: Float[Tensor, "rows tokens holds"],
    low: Float[Tensor, "rows tokens holds"],
    high: Float[Tensor, "rows tokens holds"],
    joint: Joint,
) -> Float[Tensor, "rows tokens holds"]:
    """How far to move along each direction: finds which holds are in force, then solves for them.

    First all that are wrong are changed at once, which mostly suffices; then, so that it ends, only the first
    of them (Murty's least-index rule; Judice & Pires 1994).
    """
    fixed, at_low = joint.fixed[:, None].expand_as(now), now < low
    active = fixed | at_low | (now > high)
    if not active.any():
        return torch.zeros_like(now)
    y, low, high, coupling = _exact(now), _exact(low), _exact(high), joint.coupling[:, None]
    slack = 1e-9 * (1.0 + y.abs())
    amount = torch.zeros_like(y)
    for step in range(4 + 4 * y.shape[-1]):
        gap = torch.where(active, torch.where(at_low, low, high) - y, 0.0)
        amount = (_in_force(active, joint) @ gap[..., None])[..., 0]
        reached = y + (coupling @ amount[..., None])[..., 0]
        under, over = reached < low - slack, reached > high + slack
        pulls = torch.where(at_low, amount < -slack, amount > slack)
        wrong = torch.where(active, pulls & ~fixed, under | over)
        if not wrong.any():
            break
        if step >= 2:
            wrong = wrong & (wrong.cumsum(-1) == 1)
        at_low = torch.where(wrong & ~active, under, at_low)
        active = active ^ wrong
    return amount.to(now.dtype)


def _in_force(
    active: Bool[Tensor, "rows tokens holds"], joint: Joint
) -> Float[Tensor, "rows tokens holds holds"]:
    """The inverse coupling of each token's holds in force."""
    if joint.subsets is None:
        return _inverse(_among(active, joint.coupling[:, None]))
    bits = 2 ** torch.arange(active.shape[-1], device=active.device)
    rows = torch.arange(len(active), device=active.device)
    return joint.subsets[rows[:, None], (active * bits).sum(-1)]


def _subsets(coupling: Float[Tensor, "rows n n"]) -> Float[Tensor, "rows subsets n n"] | None:
    holds = coupling.shape[-1]
    if holds > MAX_TABLE:
        return None
    bits = torch.arange(holds, device=coupling.device)
    chosen = (torch.arange(2**holds, device=coupling.device)[:, None] >> bits) & 1 == 1
    return _inverse(_among(chosen[None], coupling[:, None]))


def _among(
    chosen: Bool[Tensor, "*#batch n"], coupling: Float[Tensor, "*#batch n n"]
) -> Float[Tensor, "*batch n n"]:
    """The coupling of the chosen among themselves; the others stand alone."""
    both = chosen[..., :, None] & chosen[..., None, :]
    return torch.where(both, coupling, 0.0) + torch.diag_embed((~chosen).to(coupling.dtype))


def _basis(directions: Float[Tensor, "n d_model"]) -> Float[Tensor, "n d_model"]:
    """An orthonormal basis of the directions' span; rows of zeros make up the number."""
    if len(directions) == 1:
        return torch.nn.functional.normalize(directions)
    _, size, basis = torch.linalg.svd(directions, full_matrices=False)
    return torch.where((size > RCOND_ABLATED)[:, None], basis, 0.0) if len(directions) else directions


def _inverse(square: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Pseudo-inverse; the scale of a coupling is 1, so the cut-off is absolute."""
    return torch.linalg.pinv(square, atol=RCOND, rtol=0.0) if square.shape[-1] else square


def _exact(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """In float64 where the device has it: near-parallel directions make ill-conditioned systems."""
    return values.double() if values.device.type != "mps" else values


def grown(values: Shaped[Tensor, "..."], axis: int, size: int, fill: float = 0.0) -> Shaped[Tensor, "..."]:
    """Padded at the end of an axis to a size."""
    shape = list(values.shape)
    shape[axis] = size - shape[axis]
    return torch.cat([values, values.new_full(shape, fill)], axis)
