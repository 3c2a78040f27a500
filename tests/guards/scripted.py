"""An engine of one row that obeys a guard as the real ones do, with readings from a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from affekt.engines import Token, WatchRow
from affekt.guards.event import Event
from affekt.guards.policy import Policy
from affekt.guards.tripwire import tripwires
from affekt.guards.watch import Guardian, Vigil
from affekt.steering.bias import Bias, parse
from tests.steering.vectors import NAMES, chat, made

VECTORS = made()
MODEL = VECTORS.provenance.model
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Script = Callable[[int, float], float]
"""From a token's place (-1: the prompt's end) and the dose on `calm` to the reading of `desperate`."""


@dataclass
class Run:
    """What a guarded reply came to."""

    shown: list[int] = field(default_factory=list)
    """Places of the tokens shown, in order."""
    text: str = ""
    finish: str = "length"
    flagged: bool = False
    doses: list[float] = field(default_factory=list)
    """Dose on `calm` under which each forward ran."""
    biases: list[Bias] = field(default_factory=list)
    rewinds: list[int] = field(default_factory=list)
    directives: list[str] = field(default_factory=list)
    events: tuple[Event, ...] = ()
    values: list[float] = field(default_factory=list)
    """Reading of each token kept."""
    scores: dict[str, float] = field(default_factory=dict)
    """Highest value of each monitor."""


def ready(*rules: Mapping[str, Any], **settings: Any) -> Guardian:
    policy = Policy(monitors=[{"what": "desperate"} | dict(rule) for rule in rules], **settings)
    return Guardian(tripwires(policy, MODEL, VECTORS), policy.hold_back or 0, clock=lambda: TIME)


def dose_of(bias: Bias) -> float:
    return sum(term.dose for term in bias.terms if term.concept == "calm" and term.mode == "add")


def reading(value: float) -> np.ndarray:
    z = np.zeros(len(NAMES), dtype=np.float32)
    z[NAMES.index("desperate")] = value
    return z


def run(
    guardian: Guardian,
    script: Script,
    tokens: int = 30,
    request: Mapping[str, Any] | None = None,
    special: frozenset[int] = frozenset(),
) -> Run:
    """Writes a reply of `tokens` tokens under a guard."""
    out = Run()
    watch = guardian.watch("r", 0, NAMES)
    assert isinstance(watch, Vigil)
    bias = parse(request, VECTORS) if request else Bias()
    hold = max(guardian.hold, guardian.rewind - 1, 0)
    place, over, replaced = -1, False, False
    while not over and place < tokens:
        dose = dose_of(bias)
        value = script(place, dose)
        out.doses.append(dose)
        row = WatchRow(
            request="r",
            choice=0,
            prompt=chat(),
            concepts=NAMES,
            z=reading(value),
            role="special" if place in special else "assistant",
            tokens=tuple(range(place + 1)),
            bias=bias,
        )
        token = Token("r", place, 0, place, f"t{place} ")
        order = watch.prompt_end(row) if place < 0 else watch.token(row, token)
        if place >= 0:
            out.values.append(value)
        kind = order.kind if order is not None else ""
        if order is not None:
            out.directives.append(kind)
            out.flagged |= order.flag or kind == "flag"
            if order.bias is not None:
                bias = order.bias if isinstance(order.bias, Bias) else parse(order.bias, VECTORS)
                out.biases.append(bias)
        if kind in ("stop", "replace"):
            kept = place + 1 - (order.tokens if order is not None and kind == "stop" else place + 1)
            out.shown += [each for each in range(max(kept, 0)) if each >= len(out.shown)]
            replaced = kind == "replace"
            out.text = order.text if replaced and order is not None else ""
            out.finish, over = "guard", True
        elif kind == "rewind" and order is not None:
            assert place + 1 - order.tokens >= len(out.shown), "a token that was shown is dropped"
            out.rewinds.append(order.tokens)
            place -= order.tokens
            del out.values[place + 1 :]
            place += 1
        else:
            out.shown += [each for each in range(place + 1 - hold) if each >= len(out.shown)]
            place += 1
    if not over:
        out.shown += [each for each in range(tokens) if each >= len(out.shown)]
    if not replaced:
        out.text = "".join(f"t{each} " for each in out.shown)
    out.events, out.scores = watch.events, dict(watch.scores)
    return out
