"""The values that may stand in an `emotion_bias`; an error names the key and the nearest right thing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, get_args

from affekt.errors import BiasError, closest
from affekt.models.prompt import Role
from affekt.steering.term import Ramp, Where

__all__ = ["keys", "layers", "number", "one_of", "ramp", "switch", "where"]

PLACES = ("role", "span", "first", "last", "after")


def number(value: Any, at: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within `low` to `high`; `at` says where it stands, for the error."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise BiasError(f"{at}: expected a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BiasError(f"{at}: expected a finite number, not {number}")
    if not low <= number <= high:
        raise BiasError(f"{at}: {number:g} is outside {low:g} to {high:g}")
    return number


def whole(value: Any, at: str, least: int) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise BiasError(f"{at}: expected a whole number, not {value!r}")
    if value < least:
        raise BiasError(f"{at}: {value} is less than {least}")
    return value


def switch(value: Any, at: str) -> bool:
    """True or false, and nothing that merely looks so."""
    if not isinstance(value, bool):
        raise BiasError(f"{at}: expected true or false, not {value!r}")
    return value


def one_of(value: Any, allowed: Sequence[str], at: str) -> str:
    """One of a few words."""
    if not isinstance(value, str):
        raise BiasError(f"{at}: expected one of {', '.join(allowed)}, not {value!r}")
    if value not in allowed:
        raise BiasError(
            f"{at}: unknown {value!r}{closest(value, allowed) or '; known: ' + ', '.join(allowed)}"
        )
    return value


def keys(form: Mapping[Any, Any], allowed: Iterable[str], at: str) -> None:
    """Refuses keys that are not allowed, rather than ignore them."""
    for key in form:
        one_of(key, tuple(allowed), f"{at}: key")


def layers(value: Any, held: Sequence[int], at: str) -> tuple[int, ...]:
    """Layers, from 0: `14`, `[12, 14]` or `"12-16"` (both ends included); all of them among `held`."""
    if isinstance(value, str):
        ends = re.fullmatch(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?", value)
        if ends is None:
            raise BiasError(f"{at}: expected a range such as '12-16', not {value!r}")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if first > last:
            raise BiasError(f"{at}: {value!r} runs backwards; did you mean '{last}-{first}'?")
        wanted = list(range(first, last + 1))
    elif isinstance(value, Sequence):
        wanted = [whole(layer, f"{at}[{i}]", 0) for i, layer in enumerate(value)]
    else:
        wanted = [whole(value, at, 0)]
    if not wanted:
        raise BiasError(f"{at}: no layer given")
    if len(set(wanted)) < len(wanted):
        raise BiasError(f"{at}: a layer stands there twice")
    missing = [layer for layer in wanted if layer not in held]
    if missing:
        nearest = min(held, key=lambda layer: abs(layer - missing[0]))
        raise BiasError(
            f"{at}: the vectors hold no layer {missing[0]}, only {_ranges(held)}; the nearest is {nearest}"
        )
    return tuple(sorted(wanted))


def where(value: Any, at: str) -> Where:
    """`"prompt"`, `"reply"`, `"both"`, or a mapping with one of role, span, first, last, after."""
    if isinstance(value, str):
        if value in PLACES:
            raise BiasError(f"{at}: {value!r} needs a value; write {{'{value}': ...}}")
        match one_of(value, ("both", "prompt", "reply"), at):
            case "prompt":
                return Where("prompt")
            case "reply":
                return Where("reply")
            case _:
                return Where()
    if not isinstance(value, Mapping):
        raise BiasError(f"{at}: expected 'prompt', 'reply', 'both' or a mapping, not {value!r}")
    keys(value, (*PLACES, "of"), at)
    places = [place for place in PLACES if place in value]
    if len(places) != 1:
        raise BiasError(f"{at}: expected exactly one of {', '.join(PLACES)}, not {len(places)}")
    place, given = places[0], value[places[0]]
    if "of" in value and place != "first":
        raise BiasError(f"{at}.of: goes with 'first' only, since a reply's last tokens are known too late")
    inside = f"{at}.{place}"
    match place:
        case "role":
            return Where("role", one_of(given, get_args(Role), inside))
        case "span":
            return Where("span", _span(given, inside))
        case "first":
            of = one_of(value.get("of", "prompt"), ("prompt", "reply"), f"{at}.of")
            return Where("first", whole(given, inside, 1), "reply" if of == "reply" else "prompt")
        case "last":
            return Where("last", whole(given, inside, 1))
        case _:
            if not isinstance(given, str) or not given:
                raise BiasError(f"{inside}: expected the marker's text, not {given!r}")
            return Where("after", given)


def ramp(value: Any, at: str) -> Ramp:
    """`{"over": tokens, "from": share, "to": share}`; the shares are 0 and 1 unless given."""
    if not isinstance(value, Mapping):
        raise BiasError(f"{at}: expected {{'over': tokens, 'from': 0.0, 'to': 1.0}}, not {value!r}")
    keys(value, ("over", "from", "to"), at)
    if "over" not in value:
        raise BiasError(f"{at}: 'over' is missing, the number of tokens")
    return Ramp(
        over=whole(value["over"], f"{at}.over", 1),
        start=number(value.get("from", 0.0), f"{at}.from", 0.0, 1.0),
        end=number(value.get("to", 1.0), f"{at}.to", 0.0, 1.0),
    )


def _span(value: Any, at: str) -> tuple[int, int]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise BiasError(f"{at}: expected [start, end] in characters of the rendered prompt, not {value!r}")
    start, end = whole(value[0], f"{at}[0]", 0), whole(value[1], f"{at}[1]", 0)
    if start >= end:
        raise BiasError(f"{at}: [{start}, {end}] holds no character")
    return start, end


def _ranges(layers: Sequence[int]) -> str:
    """`12-16, 20` for 12, 13, 14, 15, 16, 20."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
