"""The rows that a worker runs: what was ordered for each, made ready on the device."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.engines.vllm.edits import Piece
from affekt.engines.vllm.order import END, Order, Segment
from affekt.errors import VectorsError
from affekt.models.prompt import Encoded, Role
from affekt.steering.group import Joints
from affekt.steering.plan import plan
from affekt.steering.program import Program, build
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Row", "row_of"]


@dataclass(eq=False)
class Row:
    """One request as a worker knows it."""

    order: Order
    """What was ordered."""
    segments: list[tuple[int, Program, Joints]] = field(default_factory=list)
    """Per segment: where it begins, its program here, its prepared constraints."""
    nudge: Float[Tensor, " d_model"] | None = None
    """The self-check's push."""
    sums: dict[int, Float[Tensor, "rows d_model"]] = field(default_factory=dict)
    """Per layer, what has been collected: a running sum, or a row for each pick."""
    picked: int = 0
    """How many of the picks have been seen."""

    def pieces(self, start: int, first: int, count: int) -> list[Piece]:
        """The tokens of a step that something steers.

        Args:
            start: where the row's tokens begin among the step's.
            first: the position of the first of them.
            count: how many there are.
        """
        if not self.segments:
            return []
        ends = [segment[0] for segment in self.segments[1:]] + [first + count]
        found = []
        for (begin, program, joints), end in zip(self.segments, ends, strict=True):
            low, high = max(begin, first), min(end, first + count)
            if low < high and not program.is_empty:
                found.append(Piece(program, start + low - first, tuple(range(low, high)), joints))
        return found


def row_of(
    order: Order, prompt: int, vectors: ConceptVectors | None, width: int, device: torch.device
) -> Row:
    """Makes an order ready, for a prompt of so many tokens.

    Raises:
        VectorsError, UnknownConcept, BiasError: for what these vectors cannot do.
    """
    if vectors is None and (order.segments or order.late or order.read is not None):
        raise VectorsError("this worker holds no concept vectors to read or steer with")
    if vectors is not None and order.read is not None:
        vectors.place(order.read)
    if order.first == END:
        order = replace(order, first=prompt - 1)
    if order.late is not None:
        order = replace(order, segments=(Segment(0, plan(order.late.bias, _bare(prompt, order.late.chat))),))
    row = Row(order)
    for segment in order.segments:
        assert vectors is not None
        row.segments.append((segment.start, build(segment.plan, vectors, device), {}))
    if order.nudge is not None:
        drawn = torch.randn(width, generator=torch.Generator().manual_seed(order.nudge.seed))
        row.nudge = (order.nudge.size * drawn / drawn.norm()).to(device)
    return row


def _bare(length: int, chat: bool) -> Encoded:
    """A prompt of which only the length is known: a user's words up to where the reply begins, or a text."""
    first: Role = "user" if chat else "text"
    last: Role = "generation" if chat else "text"
    roles = (first,) * (length - 1) + (last,)
    return Encoded((0,) * length, ((0, 0),) * length, roles, "")
