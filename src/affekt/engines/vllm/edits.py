"""The programs of a scheduler step as edits of its flat tokens: one map from rows to slots, one matrix of
coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.engines.vllm.stream import Stream
from affekt.steering.group import Group, Joints, groups, side_by_side
from affekt.steering.program import Program

__all__ = ["Edits", "FlatEdit", "Piece", "sent"]


def sent(values: Tensor, device: torch.device) -> Tensor:
    """The same on the device, without waiting until the device has done what it was told before."""
    return values.to(device, non_blocking=True)


@dataclass(frozen=True, eq=False)
class Piece:
    """Tokens of one row in a step that one program steers."""

    program: Program
    """What steers them."""
    start: int
    """Where they begin among the step's flat tokens."""
    places: tuple[int, ...]
    """Their positions in the row."""
    joints: Joints
    """The row's prepared constraints under this program."""


class FlatEdit:
    """What happens to the residual after one layer. Tokens that nothing is done to stay as they are to the
    bit: what is added to them is -0.0."""

    def __init__(
        self,
        delta: Float[Tensor, "tokens d_model"] | None,
        held: Sequence[Group],
        where: Int[Tensor, " held"] | None,
    ) -> None:
        self._delta, self._held, self._where = delta, tuple(held), where

    def __call__(self, stream: Stream) -> None:
        """Changes it in place."""
        if self._delta is not None:
            stream.add(self._delta)
        if self._where is None:
            return
        before = stream.total(self._where)
        after = before[None].clone()
        for group in self._held:
            group.change(after)
        stream.move(self._where, after[0] - before)


class Edits:
    """Makes the edits of each step; while the same rows decode at the same strengths, the same ones again."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._last: tuple[object, Sequence[Piece], Mapping[int, FlatEdit]] = (None, (), {})

    def at(self, pieces: Sequence[Piece], tokens: int) -> Mapping[int, FlatEdit]:
        """The edits of a step, per layer.

        Args:
            pieces: the tokens that something steers.
            tokens: how many tokens the step has in all.
        """
        if not pieces:
            return {}
        strengths = [
            np.array([[one.strength(at) for at in piece.places] for one in piece.program.schedules])
            for piece in pieces
        ]
        decoding = all(len(piece.places) == 1 for piece in pieces)
        state = decoding and (
            tokens,
            [
                (id(piece.program), piece.start, own.tolist(), piece.program.kind(piece.places[0]))
                for piece, own in zip(pieces, strengths, strict=True)
            ],
        )
        if decoding and self._last[0] == state:
            return self._last[2]
        edits = self._built(pieces, strengths, tokens)
        # The pieces are kept so that no other program can have the address of one of theirs.
        self._last = (state, pieces, edits) if decoding else (None, (), {})
        return edits

    def _built(
        self, pieces: Sequence[Piece], strengths: Sequence[np.ndarray], tokens: int
    ) -> Mapping[int, FlatEdit]:
        edits: dict[int, FlatEdit] = {}
        for layer in sorted({layer for piece in pieces for layer in piece.program.layers}):
            free: list[tuple[Piece, np.ndarray]] = []
            bound: list[tuple[Piece, np.ndarray]] = []
            for piece, own in zip(pieces, strengths, strict=True):
                holds = piece.program.holds.get(layer, ())
                (bound if any(own[one.schedule].any() for one in holds) else free).append((piece, own))
            delta = self._delta(layer, free, tokens)
            held, where = self._held(layer, bound)
            if delta is not None or where is not None:
                edits[layer] = FlatEdit(delta, held, where)
        return edits

    def _delta(
        self, layer: int, pieces: Sequence[tuple[Piece, np.ndarray]], tokens: int
    ) -> Float[Tensor, "tokens d_model"] | None:
        """What each token gets: coefficients of tokens by slots, times the slots' vectors."""
        slots = [
            (piece, push.vector, own[push.schedule])
            for piece, own in pieces
            for push in piece.program.pushes.get(layer, ())
            if own[push.schedule].any()
        ]
        if not slots:
            return None
        coefficients = np.zeros((tokens, len(slots)), dtype=np.float32)
        for slot, (piece, _, share) in enumerate(slots):
            coefficients[piece.start : piece.start + len(share), slot] = share
        matrix = sent(torch.from_numpy(coefficients), self._device)
        delta = matrix @ torch.stack([vector for _, vector, _ in slots]).to(self._device)
        untouched = sent(torch.from_numpy(~coefficients.any(1, keepdims=True)), self._device)
        return delta.masked_fill_(untouched, -0.0)

    def _held(
        self, layer: int, pieces: Sequence[tuple[Piece, np.ndarray]]
    ) -> tuple[list[Group], Int[Tensor, " held"] | None]:
        """Groups of tokens with constraints, numbered anew, and which flat tokens they are."""
        made: list[Group] = []
        flat: list[int] = []
        for piece, own in pieces:
            for group in groups(0, piece.program, layer, own, piece.places, piece.joints):
                made.append(replace(group, tokens=group.tokens + len(flat)).to(self._device))
            flat += range(piece.start, piece.start + len(piece.places))
        if not made:
            return [], None
        alone = all(group.tokens.shape[1] == 1 and group.held is not None for group in made)
        together = [side_by_side(made)] if alone and len(made) > 1 else made
        return together, sent(torch.tensor(flat), self._device)
