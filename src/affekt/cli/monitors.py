"""Monitors from the command line: `desperate`, `desperate@prompt_end`, `valence:below@window:16`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from affekt.errors import CalibrationError, PolicyError, closest

if TYPE_CHECKING:
    from affekt.guards import Monitor, Policy

__all__ = ["calibration_file", "monitor_of", "of_policy", "unique"]


def calibration_file(model: str, vectors: Path | None = None) -> Path:
    """Where a model's calibration is kept when no file is named: beside its vectors."""
    from affekt.vectors.shelf import shelf

    return (vectors or shelf(model)).with_suffix(".calibration.json")


def monitor_of(asked: str) -> Monitor:
    """A monitor without a threshold, named as it was asked for.

    Args:
        asked: WHAT[:below][@POSITION[:TOKENS]], the position `reply` unless given.

    Raises:
        PolicyError: a form, direction or position that is none.
    """
    from affekt.guards.monitor import Direction, Monitor, Position

    what, at, place = asked.partition("@")
    what, _, side = what.strip().partition(":")
    position, _, tokens = place.strip().partition(":")
    position, side = position if at else "reply", side or "above"
    for word, known in ((side, get_args(Direction)), (position, get_args(Position))):
        if word not in known:
            near = closest(word, known) or f"; there are {', '.join(known)}"
            raise PolicyError(f"--monitor {asked}: unknown {word!r}{near}")
    if tokens and not tokens.isdigit():
        raise PolicyError(f"--monitor {asked}: {tokens!r} is no number of tokens, as in window:16")
    window = int(tokens) if tokens else None
    direction: Direction = "below" if side == "below" else "above"
    where: Position = next(known for known in get_args(Position) if known == position)
    return Monitor(asked, what, where, direction=direction, window=window)


def of_policy(policy: Policy) -> tuple[list[Monitor], list[float]]:
    """What a policy needs calibrated: its monitors with a rate, named after what they watch, and the rates.

    Raises:
        CalibrationError: none has one.
    """
    from dataclasses import replace

    rules = [rule for rule in policy.monitors if rule.rate is not None]
    if not rules:
        raise CalibrationError(
            f"the policy {policy.name!r} states every threshold itself; there is nothing to calibrate"
        )
    monitors = [replace(rule.monitor(), name=_written(rule.monitor())) for rule in rules]
    return monitors, [rule.rate for rule in rules if rule.rate is not None]


def unique(monitors: Iterable[Monitor], names: Sequence[str]) -> list[Monitor]:
    """Each monitor once, whatever it is called; checked against the concepts that there are.

    Raises:
        UnknownConcept: a monitor of a concept that is not among `names`.
    """
    kept: list[Monitor] = []
    for monitor in monitors:
        monitor.weights(names)
        if not any(monitor.same_values(one) and monitor.direction == one.direction for one in kept):
            kept.append(monitor)
    return kept


def _written(monitor: Monitor) -> str:
    """A monitor as `monitor_of` reads it, where it watches one thing."""
    what = monitor.what
    if not isinstance(what, str):
        what = " ".join(f"{weight:+g} {name}" for name, weight in sorted(what.items()))
    side = ":below" if monitor.direction == "below" else ""
    place = "" if monitor.position == "reply" else f"@{monitor.position}"
    return f"{what}{side}{place}" + (f":{monitor.window}" if monitor.window is not None else "")
