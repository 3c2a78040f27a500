"""A policy's rules with everything found that they need: thresholds, read-out weights, biases."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affekt.errors import AffektError, BiasError, CalibrationError, PolicyError
from affekt.guards.action import Action, Counter, Damp, Push, Resample
from affekt.guards.blend import blend
from affekt.guards.calibration import Calibration
from affekt.guards.contradiction import contradiction
from affekt.guards.document import written
from affekt.guards.homeostat import Homeostat
from affekt.guards.monitor import Monitor
from affekt.guards.policy import Policy
from affekt.guards.reach import LEAST, reach
from affekt.guards.rule import Rule
from affekt.models.model import Identity
from affekt.steering.bias import AffektWarning, Bias, parse
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Tripwire", "tripwires"]


@dataclass(frozen=True)
class Tripwire:
    """A rule, ready."""

    monitor: Monitor
    """With its threshold."""
    action: Action
    """What happens when it trips."""
    rank: int
    """How harsh that is."""
    bias: Bias | None = None
    """What is steered, at full strength, where the action steers."""
    homeostat: Homeostat | None = None
    """What sets the strength of a counter-bias."""


def tripwires(
    policy: Policy, model: Identity, vectors: ConceptVectors, calibration: Calibration | None = None
) -> tuple[Tripwire, ...]:
    """Resolves a policy's rules.

    Args:
        policy: the policy; its own calibration is not loaded here.
        model: the model that will be guarded.
        vectors: what it is read and steered with.
        calibration: for the rules that state a rate.

    Raises:
        PolicyError: a concept that the vectors do not hold, a rate without calibration, an uncalibrated dial,
            or thresholds that contradict each other once they are known.
        CalibrationError: the calibration is of another model, of other vectors, or of too few dialogues.

    Warns:
        AffektWarning: for a counter-bias that hardly moves what it counters.
    """
    policy.check_concepts(vectors.names)
    layer = vectors.read_layer if policy.layer is None else policy.layer
    vectors.place(layer)
    if calibration is not None:
        calibration.require(model, vectors, layer)
    rules = [_resolved(rule, index, calibration) for index, rule in enumerate(policy.monitors)]
    found = contradiction(rules, policy.hold_back)
    if found is not None:
        raise PolicyError(f"{written(found[0])}: {found[1]}")
    wires = tuple(_wire(rule, index, vectors, layer) for index, rule in enumerate(rules))
    try:
        blend(wire.bias for wire in wires if wire.bias is not None)
    except BiasError as error:
        raise PolicyError(f"monitors: {error}") from error
    return wires


def _resolved(rule: Rule, index: int, calibration: Calibration | None) -> Rule:
    if rule.rate is None:
        return rule
    at = f"monitors[{index}].rate"
    if calibration is None:
        raise PolicyError(
            f"{at}: the threshold of {rule.name!r} is not calibrated; name a calibration, made with: affekt "
            f"calibrate, or state a 'threshold' in z"
        )
    try:
        threshold = calibration.threshold(rule.monitor(), rule.rate)
    except CalibrationError as error:
        raise PolicyError(f"{at}: {error}") from error
    return rule.model_copy(update={"threshold": threshold, "rate": None})


def _wire(rule: Rule, index: int, vectors: ConceptVectors, layer: int) -> Tripwire:
    action, monitor = rule.action, rule.monitor()
    monitor.weights(vectors.names)
    spec = _spec(rule, vectors, layer)
    try:
        bias = parse(spec, vectors) if spec else None
    except AffektError as error:
        raise PolicyError(f"monitors[{index}].action: {error}") from error
    if bias is not None and isinstance(action, Counter | Resample):
        _warn(monitor, bias, vectors, layer, f"monitors[{index}].action")
    homeostat = None
    if isinstance(action, Counter):
        homeostat = Homeostat(action.gain, action.release, action.band)
    return Tripwire(monitor, action, rule.rank, bias, homeostat)


def _warn(monitor: Monitor, bias: Bias, vectors: ConceptVectors, layer: int, at: str) -> None:
    moved = reach(monitor, bias, vectors, layer)
    if moved < LEAST:
        warnings.warn(
            f"{at}: at full strength this takes {monitor.name!r} back by {moved:+.2f} z only (to first "
            f"order); push what is watched as well, or with a larger dose",
            AffektWarning,
            stacklevel=5,
        )


def _spec(rule: Rule, vectors: ConceptVectors, layer: int) -> dict[str, Any]:
    """What the rule's action steers, as an `emotion_bias`."""
    action = rule.action
    if isinstance(action, Counter | Resample):
        return {name: _push(push) for name, push in action.bias.items()}
    if not isinstance(action, Damp):
        return {}
    # Held where it is read too: what is done below might not last up to there.
    clamp = {"mode": "clamp", "layers": sorted({*vectors.steer_layers, layer})}
    if action.hold is not None:
        return {name: clamp | held.model_dump(exclude_none=True) for name, held in action.hold.items()}
    bound = "high" if rule.direction == "above" else "low"
    return {str(rule.what): clamp | {bound: rule.threshold}}


def _push(push: float | Push) -> float | Mapping[str, float]:
    return push if isinstance(push, float) else {"dose": push.dose}
