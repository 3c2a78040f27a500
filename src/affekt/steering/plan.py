"""A bias for one prompt in names and numbers only, so that it can go to where the vectors are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, get_args

from affekt.models.prompt import Encoded
from affekt.steering.bias import Bias
from affekt.steering.schedule import Schedule, reply_role, schedule
from affekt.steering.term import Mode, Ramp, Term, Where
from affekt.vectors.readout import POSITIONS, position_of

__all__ = ["Plan", "plan", "term_of"]

NUMBERS = ("dose", "low", "high", "value")


@dataclass(frozen=True)
class Plan:
    """What is to be done with which concept on which tokens of a row; a program without its vectors."""

    terms: tuple[Term, ...]
    """What changes something, in the bias's order."""
    places: tuple[int, ...]
    """Per term, which of the schedules is its own."""
    schedules: tuple[Schedule, ...]
    """Each distinct pair of positions and ramp once."""
    kinds: tuple[int, ...]
    """Per prompt token, which of the read-out's positions it is read at."""
    reply_kind: int
    """The same for every token of the reply."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; long runs of tokens are told by their ends."""
        return {
            "terms": [_told(term) for term in self.terms],
            "places": list(self.places),
            "schedules": [_schedule_told(one) for one in self.schedules],
            "kinds": [[kind, len(list(run))] for kind, run in groupby(self.kinds)],
            "reply_kind": self.reply_kind,
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Plan:
        """Reads `to_dict` back.

        Raises:
            KeyError, TypeError, ValueError, StopIteration: for anything that `to_dict` does not give.
        """
        return cls(
            terms=tuple(_heard(term) for term in told["terms"]),
            places=tuple(int(place) for place in told["places"]),
            schedules=tuple(_schedule_heard(one) for one in told["schedules"]),
            kinds=tuple(int(kind) for kind, count in told["kinds"] for _ in range(count)),
            reply_kind=int(told["reply_kind"]),
        )


def plan(bias: Bias, prompt: Encoded) -> Plan:
    """Resolves a bias's places for one prompt, generation prompt included.

    Raises:
        BiasError: for a place that this prompt has not.
    """
    terms = [term for term in bias.terms if not term.is_zero]
    schedules: dict[Schedule, int] = {}
    places = [schedules.setdefault(schedule(term, prompt), len(schedules)) for term in terms]
    return Plan(
        terms=tuple(terms),
        places=tuple(places),
        schedules=tuple(schedules),
        kinds=tuple(POSITIONS.index(position_of(role)) for role in prompt.roles),
        reply_kind=POSITIONS.index(position_of(reply_role(prompt))),
    )


def term_of(told: Mapping[str, Any]) -> Term:
    """Reads `Term.to_dict` back, its place and ramp included; raises as `Plan.from_dict`."""
    where, ramp = dict(told["where"]), told["ramp"]
    if isinstance(where.get("value"), list):
        where["value"] = tuple(where["value"])
    known = {key: value for key, value in told.items() if value is not None}
    return replace(
        _heard(known),
        where=Where(**where),
        ramp=None if ramp is None else Ramp(int(ramp["over"]), float(ramp["start"]), float(ramp["end"])),
    )


def _told(term: Term) -> dict[str, Any]:
    numbers = {name: getattr(term, name) for name in NUMBERS}
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    return {
        "concept": term.concept,
        "mode": term.mode,
        "layers": list(term.layers),
        "share": term.share,
        **finite,
    }


def _heard(told: Mapping[str, Any]) -> Term:
    numbers: dict[str, Any] = {name: float(told[name]) for name in NUMBERS if name in told}
    mode: Mode = next(mode for mode in get_args(Mode) if mode == told["mode"])
    layers = tuple(int(layer) for layer in told["layers"])
    return replace(Term(str(told["concept"]), mode, layers, share=bool(told["share"])), **numbers)


def _schedule_told(one: Schedule) -> dict[str, Any]:
    return {
        "ranks": _runs(one.ranks),
        "reached": one.reached,
        "begin": one.begin,
        "end": one.end,
        "marker": one.marker,
        "ramp": None if one.ramp is None else [one.ramp.over, one.ramp.start, one.ramp.end],
    }


def _schedule_heard(told: Mapping[str, Any]) -> Schedule:
    ramp = told["ramp"]
    return Schedule(
        ranks=tuple(-1 if first < 0 else first + k for first, count in told["ranks"] for k in range(count)),
        reached=told["reached"],
        begin=told["begin"],
        end=told["end"],
        marker=told["marker"],
        ramp=None if ramp is None else Ramp(int(ramp[0]), float(ramp[1]), float(ramp[2])),
    )


def _runs(ranks: Sequence[int]) -> list[list[int]]:
    """`[-1, -1, 0, 1, 2]` as `[[-1, 2], [0, 3]]`: what runs of tokens begin with, and their lengths."""
    runs: list[list[int]] = []
    for rank in ranks:
        goes_on = runs and rank == (-1 if runs[-1][0] < 0 else runs[-1][0] + runs[-1][1])
        if goes_on:
            runs[-1][1] += 1
        else:
            runs.append([rank, 1])
    return runs
