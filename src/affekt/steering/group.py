"""Tokens of a batch whose residual is gathered, changed in float32 and put back."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.steering.constraint import Joint, grown, hold, join, stack
from affekt.steering.program import Hold, Program

__all__ = ["Group", "Joints", "groups", "side_by_side"]

Joints: TypeAlias = MutableMapping[tuple[int, int, tuple[int, ...]], Joint]
"""Prepared constraints by row, layer and which of the row's are in force; to prepare them takes a while."""


@dataclass(frozen=True)
class Held:
    """Constraints on the tokens of a group."""

    joint: Joint
    """Which ones."""
    low: Float[Tensor, "rows tokens holds"]
    """Least read-outs; they go by each token's own reference."""
    high: Float[Tensor, "rows tokens holds"]
    """Largest read-outs."""
    removing: Float[Tensor, "rows tokens ablations"] | None
    """Share of each ablation; none where it is 1 throughout."""
    strength: Float[Tensor, "rows tokens holds"] | None
    """Share of each other constraint; none where it is 1 throughout."""

    def to(self, device: torch.device) -> Held:
        """The same on another device."""
        return replace(self, **_parts(self, device))


@dataclass(frozen=True)
class Group:
    """Tokens of one row or, while decoding, one token each of several rows."""

    rows: Int[Tensor, "rows 1"]
    """Rows of the batch."""
    tokens: Int[Tensor, "rows tokens"]
    """Tokens of the forward."""
    share: Float[Tensor, "rows tokens pushes"]
    """How much of each vector each token gets."""
    push: Float[Tensor, "rows pushes d_model"]
    """Vectors added."""
    held: Held | None
    """Constraints met after that."""

    def change(self, residual: Float[Tensor, "batch tokens_of_all d_model"]) -> None:
        """Changes the residual in place, rounding once."""
        moved = torch.baddbmm(residual[self.rows, self.tokens].float(), self.share, self.push)
        if self.held is not None:
            held = self.held
            moved = hold(moved, held.joint, held.low, held.high, held.removing, held.strength)
        residual[self.rows, self.tokens] = moved.to(residual.dtype)

    def to(self, device: torch.device) -> Group:
        """The same on another device."""
        return replace(self, **_parts(self, device))


def groups(
    row: int,
    program: Program,
    layer: int,
    strengths: Float[np.ndarray, "schedules tokens"],
    places: Sequence[int],
    joints: Joints,
) -> list[Group]:
    """A row's tokens to which anything is done at a layer, one group for each set of constraints in force.

    Args:
        row: its number in the batch.
        program: its edits.
        layer: the layer.
        strengths: of the program's schedules at each token of the forward.
        places: absolute position of each token; -1 for padding.
        joints: where prepared constraints are kept.
    """
    pushes, holds = program.pushes.get(layer, ()), program.holds.get(layer, ())
    pushed = strengths[[push.schedule for push in pushes]]
    held = strengths[[one.schedule for one in holds]]
    vectors = torch.stack([push.vector for push in pushes] or [torch.zeros_like(holds[0].unit)])
    if not pushes:
        pushed = np.zeros((1, len(places)))
    busy = np.flatnonzero((pushed != 0).any(0) | (held != 0).any(0))
    made = []
    for pattern in np.unique(held[:, busy] != 0, axis=1).T:
        tokens = busy[((held[:, busy] != 0) == pattern[:, None]).all(0)]
        share, push = vectors.new_tensor(pushed[:, tokens].T), vectors
        if len(tokens) == 1:
            share, push = share.new_ones(1, 1), share @ push
        index = torch.from_numpy(tokens).to(vectors.device)[None]
        force = tuple(np.flatnonzero(pattern).tolist())
        own = None
        if force:
            key = (row, layer, force)
            if key not in joints:
                joints[key] = join([holds[i] for i in force])
            kinds = [program.kind(places[token]) for token in tokens]
            own = _held(joints[key], [holds[i] for i in force], kinds, held[np.ix_(force, tokens)].T)
        made.append(Group(torch.full_like(index[:, :1], row), index, share[None], push[None], own))
    return made


def _held(
    joint: Joint, holds: Sequence[Hold], kinds: Sequence[int], strengths: Float[np.ndarray, "tokens in_force"]
) -> Held:
    gone = [i for i, one in enumerate(holds) if one.mode == "ablate"]
    kept = [i for i, one in enumerate(holds) if one.mode != "ablate"]
    new = joint.weight.new_tensor

    def share(of: list[int]) -> Tensor | None:
        return None if (strengths[:, of] == 1.0).all() else new(strengths[:, of])[None]

    return Held(
        joint=joint,
        low=new([[holds[i].low[kind] for i in kept] for kind in kinds])[None],
        high=new([[holds[i].high[kind] for i in kept] for kind in kinds])[None],
        removing=share(gone),
        strength=share(kept),
    )


def side_by_side(groups: Sequence[Group]) -> Group:
    """Groups of one token each, all constrained, as one: a decoding step is as short for any batch."""
    held = [group.held for group in groups if group.held is not None]
    joint = stack([own.joint for own in held])
    ablations, holds = joint.basis.shape[1], joint.weight.shape[1]

    def share(part: Callable[[Held], Tensor | None], size: int) -> Tensor | None:
        parts = [part(own) for own in held]
        if all(one is None for one in parts):
            return None
        full = joint.weight.new_ones(1, 1, size)
        return torch.cat([full if one is None else grown(one, 2, size, 1.0) for one in parts])

    return Group(
        rows=torch.cat([group.rows for group in groups]),
        tokens=torch.cat([group.tokens for group in groups]),
        share=torch.cat([group.share for group in groups]),
        push=torch.cat([group.push for group in groups]),
        held=Held(
            joint=joint,
            low=torch.cat([grown(own.low, 2, holds, -torch.inf) for own in held]),
            high=torch.cat([grown(own.high, 2, holds, torch.inf) for own in held]),
            removing=share(lambda own: own.removing, ablations),
            strength=share(lambda own: own.strength, holds),
        ),
    )


def _parts(whole: Held | Group, device: torch.device) -> dict[str, Any]:
    parts = {own.name: getattr(whole, own.name) for own in fields(whole)}
    return {name: part.to(device) for name, part in parts.items() if part is not None}
