"""A bias made ready for one row: which vector or constraint acts at which layer, on which positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.errors import BiasError
from affekt.models.prompt import Encoded
from affekt.steering.bias import Bias
from affekt.steering.plan import Plan, plan
from affekt.steering.schedule import Schedule
from affekt.steering.term import Term
from affekt.vectors.conceptvectors import ConceptVectors, unit

__all__ = ["Hold", "Program", "Push", "build", "compile"]

MIN_COSINE = 1e-3
"""Least cosine between read-out and steering direction at which `set` and `clamp` make sense."""


@dataclass(frozen=True)
class Push:
    """A vector added at one layer."""

    schedule: int
    """Index into the program's schedules."""
    vector: Float[Tensor, "d_model"]
    """What is added at full strength, float32, in the residual's own units."""


@dataclass(frozen=True)
class Hold:
    """A read-out held at one layer by moving the residual along one direction."""

    schedule: int
    """Index into the program's schedules."""
    mode: Literal["ablate", "clamp", "set"]
    """An ablation projects `unit` out and holds first and exactly, whatever the others ask."""
    unit: Float[Tensor, "d_model"]
    """The direction moved along, of norm 1."""
    weight: Float[Tensor, "d_model"]
    """The read-out, scaled so that `weight . unit` is 1: it counts in distance along `unit`."""
    low: tuple[float, ...] = ()
    """Least `weight . residual`, for a token of each of the read-out's positions; empty for an ablation."""
    high: tuple[float, ...] = ()
    """Largest `weight . residual`; equal to `low` where a value is set."""


@dataclass(frozen=True)
class Program:
    """The edits of one row. Immutable: one that has heard its marker is another program."""

    schedules: tuple[Schedule, ...]
    """Each distinct pair of positions and ramp once."""
    pushes: Mapping[int, tuple[Push, ...]]
    """Per layer, at most one per schedule."""
    holds: Mapping[int, tuple[Hold, ...]]
    """Per layer, the constraints."""
    kinds: tuple[int, ...]
    """Per prompt token, which of the read-out's positions it is read at."""
    reply_kind: int
    """The same for every token of the reply."""

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not self.pushes and not self.holds

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers it acts at, ascending."""
        return tuple(sorted({*self.pushes, *self.holds}))

    @property
    def waits(self) -> bool:
        """Whether a marker is still to come; then `heard` wants each new piece of the reply."""
        return any(schedule.marker is not None for schedule in self.schedules)

    def kind(self, position: int) -> int:
        """Which of the read-out's positions the token at an absolute position is read at."""
        return self.kinds[position] if position < len(self.kinds) else self.reply_kind

    def heard(self, reply: str, position: int) -> Program:
        """The program after some of the reply was written; itself where nothing new came.

        Args:
            reply: the whole reply so far, decoded.
            position: absolute position of the next token, the first that can be reached.
        """
        after = tuple(schedule.heard(reply, position) for schedule in self.schedules)
        return self if after == self.schedules else replace(self, schedules=after)


def compile(
    bias: Bias, vectors: ConceptVectors, prompt: Encoded, device: torch.device | str = "cpu"
) -> Program:
    """Resolves a bias for one prompt.

    Args:
        bias: as parsed against the same vectors.
        vectors: directions, norms and read-outs.
        prompt: the row's prompt, generation prompt included; reply tokens come after it.
        device: where the vectors shall lie; edits move them to where the residual is if that differs.

    Returns:
        A program; an empty one for a bias of zero.

    Raises:
        BiasError: for a place that this prompt has not, or a read-out that does not see its own direction.
    """
    return build(plan(bias, prompt), vectors, device)


def build(plan: Plan, vectors: ConceptVectors, device: torch.device | str = "cpu") -> Program:
    """A plan with its vectors; see `compile`. The program's schedules are the plan's, in their order.

    Raises:
        BiasError: for a read-out that does not see its own direction.
        UnknownConcept, VectorsError: for a concept or layer that the vectors do not hold.
    """
    there = torch.device(device)
    pushes: dict[int, dict[int, Tensor]] = {}
    holds: dict[int, list[Hold]] = {}
    for term, own in zip(plan.terms, plan.places, strict=True):
        for layer in term.layers:
            direction = _direction(term, vectors, layer)
            if term.constrains:
                holds.setdefault(layer, []).append(_hold(term, vectors, layer, own, direction, there))
            else:
                dose = term.dose / len(term.layers) if term.share else term.dose
                sums = pushes.setdefault(layer, {})
                length = dose * float(vectors.norms[vectors.place(layer)])
                sums[own] = sums.get(own, torch.zeros_like(direction)) + length * direction
    return Program(
        schedules=plan.schedules,
        pushes={
            layer: tuple(Push(own, vector.to(there)) for own, vector in sums.items())
            for layer, sums in pushes.items()
        },
        holds={layer: tuple(own) for layer, own in holds.items()},
        kinds=plan.kinds,
        reply_kind=plan.reply_kind,
    )


def _direction(term: Term, vectors: ConceptVectors, layer: int) -> Float[Tensor, "d_model"]:
    stack: Tensor = getattr(vectors, vectors.steer_variant)
    return unit(stack[vectors.place(layer), vectors.index(term.concept)])


def _hold(
    term: Term,
    vectors: ConceptVectors,
    layer: int,
    own: int,
    direction: Float[Tensor, "d_model"],
    device: torch.device,
) -> Hold:
    along = direction.to(device)
    if term.mode == "ablate":
        return Hold(own, "ablate", along, along)
    row, concept = vectors.place(layer), vectors.index(term.concept)
    weight = vectors.weight[row, concept]
    slope = float(weight @ direction)
    if not slope > MIN_COSINE * float(weight.norm()):
        raise BiasError(
            f"emotion_bias.{term.concept}: the read-out at layer {layer} does not see its own steering "
            f"direction, so it cannot be held there by '{term.mode}'; choose other layers"
        )
    means, stds = vectors.mean[row, :, concept].tolist(), vectors.std[row, :, concept].tolist()
    low, high = (term.value, term.value) if term.mode == "set" else (term.low, term.high)
    return Hold(
        schedule=own,
        mode="set" if term.mode == "set" else "clamp",
        unit=along,
        weight=(weight / slope).to(device),
        low=tuple((mean + std * low) / slope for mean, std in zip(means, stds, strict=True)),
        high=tuple((mean + std * high) / slope for mean, std in zip(means, stds, strict=True)),
    )
