"""The programs of a batch as edits of its residual streams: one in-place add per layer where that is all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.models.residual import Edit
from affekt.steering.group import Group, Joints, groups, side_by_side
from affekt.steering.program import Program

__all__ = ["BatchEdit", "LayerEdit", "batch_edits"]


class LayerEdit:
    """What happens to the residual after one layer, in place unless gradients flow through it.

    Rows that nothing is done to stay as they are to the bit: what is added to them is -0.0, which alone
    leaves every number and both zeros unchanged.
    """

    def __init__(
        self, shape: tuple[int, int], delta: Float[Tensor, "batch 1 d_model"] | None, groups: Sequence[Group]
    ) -> None:
        self._shape, self._delta, self._groups = shape, delta, tuple(groups)
        self._device = delta.device if delta is not None else self._groups[0].push.device

    def __call__(
        self, residual: Float[Tensor, "batch tokens d_model"]
    ) -> Float[Tensor, "batch tokens d_model"]:
        """The residual after the edit.

        Raises:
            ValueError: for a batch or a number of tokens other than those it was made for.
        """
        if residual.shape[:2] != self._shape:
            raise ValueError(
                f"an edit made for {self._shape} rows and tokens met {tuple(residual.shape[:2])}"
            )
        if residual.device != self._device:
            self._move(residual.device)
        out = residual.clone() if residual.requires_grad and torch.is_grad_enabled() else residual
        if self._delta is not None:
            out.add_(self._delta)
        for group in self._groups:
            group.change(out)
        return out

    def _move(self, device: torch.device) -> None:
        self._delta = None if self._delta is None else self._delta.to(device)
        self._groups = tuple(group.to(device) for group in self._groups)
        self._device = device


class BatchEdit:
    """The edits of one composition of a batch; make another when a row joins, leaves or gets another program.

    `at` gives the edits of each forward. While decoding, as long as no strength changes, it gives the same
    object again: then the cost per layer is one in-place add.
    """

    def __init__(self, programs: Sequence[Program | None]) -> None:
        self._batch = len(programs)
        self._programs = {row: p for row, p in enumerate(programs) if p is not None and not p.is_empty}
        self._layers = sorted({layer for program in self._programs.values() for layer in program.layers})
        self._joints: Joints = {}
        self._last: tuple[object, Mapping[int, Edit]] = (None, {})

    def at(self, positions: Int[Tensor, "batch tokens"]) -> Mapping[int, Edit]:
        """The edits for one forward, per layer; none for a layer at which nothing is to be done.

        Args:
            positions: absolute position of each token in its own row, prompt and reply counted through; -1
                for padding. Best on the CPU, since its values are looked at.

        Raises:
            ValueError: for another number of rows than of programs.
        """
        if len(positions) != self._batch:
            raise ValueError(f"positions of {len(positions)} rows for {self._batch} programs")
        if not self._programs:
            return {}
        places: list[list[int]] = positions.tolist()
        strengths = {
            row: [[schedule.strength(place) for place in places[row]] for schedule in program.schedules]
            for row, program in self._programs.items()
        }
        decoding = positions.shape[1] == 1
        # A constraint's bounds go with the kind of token too, which a forward of one prompt token shows.
        kinds = [program.kind(places[row][0]) for row, program in self._programs.items() if program.holds]
        state = (strengths, kinds)
        if decoding and self._last[0] == state:
            return self._last[1]
        edits = self._built(places, {row: np.array(own) for row, own in strengths.items()})
        if decoding:
            self._last = (state, edits)
        return edits

    def _built(
        self, places: list[list[int]], strengths: Mapping[int, Float[np.ndarray, "schedules tokens"]]
    ) -> Mapping[int, Edit]:
        shape = (self._batch, len(places[0]))
        real = {row: np.flatnonzero(np.array(places[row]) >= 0) for row in strengths}
        edits: dict[int, Edit] = {}
        for layer in self._layers:
            deltas: dict[int, Tensor] = {}
            parts: list[Group] = []
            for row, program in self._programs.items():
                if _is_one_add(program, layer, strengths[row][:, real[row]]):
                    deltas |= _delta(row, program, layer, strengths[row][:, real[row]])
                else:
                    parts += groups(row, program, layer, strengths[row], places[row], self._joints)
            if deltas or parts:
                parts = [side_by_side(parts)] if shape[1] == 1 and len(parts) > 1 else parts
                edits[layer] = LayerEdit(shape, _spread(self._batch, deltas), parts)
        return edits


def batch_edits(
    programs: Sequence[Program | None], positions: Int[Tensor, "batch tokens"]
) -> Mapping[int, Edit]:
    """The edits of a single forward, see `BatchEdit.at`; for many forwards keep one `BatchEdit`."""
    return BatchEdit(programs).at(positions)


def _is_one_add(program: Program, layer: int, strengths: Float[np.ndarray, "schedules tokens"]) -> bool:
    """Whether all of a row's tokens, padding left out, get the same vector at a layer and no constraint."""
    if any(strengths[one.schedule].any() for one in program.holds.get(layer, ())):
        return False
    return all(
        (strengths[p.schedule] == strengths[p.schedule][:1]).all() for p in program.pushes.get(layer, ())
    )


def _delta(
    row: int, program: Program, layer: int, strengths: Float[np.ndarray, "schedules tokens"]
) -> dict[int, Float[Tensor, "d_model"]]:
    """What all of a row's tokens get; nothing where that is zero."""
    pushes = [push for push in program.pushes.get(layer, ()) if strengths[push.schedule].any()]
    if not pushes:
        return {}
    vectors = torch.stack([push.vector for push in pushes])
    shares = vectors.new_tensor([strengths[push.schedule][0] for push in pushes])
    return {row: shares @ vectors}


def _spread(
    batch: int, deltas: Mapping[int, Float[Tensor, "d_model"]]
) -> Float[Tensor, "batch 1 d_model"] | None:
    """The rows' vectors as one tensor, -0.0 in the others."""
    if not deltas:
        return None
    first = next(iter(deltas.values()))
    spread = first.new_full((batch, 1, len(first)), -0.0)
    for row, delta in deltas.items():
        spread[row, 0] = delta
    return spread
