"""A floor that a request may raise and never lower."""

from __future__ import annotations

from affekt.errors import PolicyError
from affekt.guards.action import Counter, Damp, Resample
from affekt.guards.policy import Policy
from affekt.guards.rule import Rule

__all__ = ["tighten"]


def tighten(floor: Policy, extra: Policy) -> Policy:
    """A server's policy with what a request adds to it.

    A rule of a new name is added. One of a name that the floor has takes its place if it watches the same,
    trips no later and is no milder. All other rules of the floor stay as they are.

    Raises:
        PolicyError: naming the rule that would loosen the floor, or what contradicts it.
    """
    for key in ("layer", "calibration"):
        own, wanted = getattr(floor, key), getattr(extra, key)
        if wanted is not None and wanted != own:
            raise PolicyError(f"{key}: a request cannot change it from {own!r} to {wanted!r}")
    rules = {rule.name: rule for rule in floor.monitors}
    for index, rule in enumerate(extra.monitors):
        if rule.name in rules:
            looser = _looser(rules[rule.name], rule)
            if looser:
                raise PolicyError(
                    f"monitors[{index}]: {rule.name!r} would loosen the server's policy: {looser}"
                )
        opposed = _opposed(floor, rule)
        if opposed:
            raise PolicyError(f"monitors[{index}].action: {rule.name!r} works against the server's {opposed}")
        rules[rule.name] = rule
    held = [policy.hold_back for policy in (floor, extra) if policy.hold_back is not None]
    return Policy(
        name=floor.name,
        layer=floor.layer,
        hold_back=max(held, default=None),
        calibration=floor.calibration,
        monitors=tuple(rules.values()),
    )


def _looser(own: Rule, wanted: Rule) -> str:
    """Why a rule is less strict than another; empty where it is not."""
    if not own.monitor().same_values(wanted.monitor()) or own.direction != wanted.direction:
        return "it watches something else; give it another name"
    if (own.rate is None) != (wanted.rate is None):
        return "give it a rate where the server has one, and a threshold where it has that"
    if own.rate is not None and wanted.rate is not None and wanted.rate < own.rate:
        return f"a rate of {wanted.rate:g} trips later than {own.rate:g}"
    if own.threshold is not None and wanted.threshold is not None:
        sign = own.monitor().sign
        if sign * wanted.threshold > sign * own.threshold:
            return f"a threshold of {wanted.threshold:g} trips later than {own.threshold:g}"
    if wanted.rank < own.rank:
        return f"{wanted.action.do!r} is milder than {own.action.do!r}"
    if wanted.rank == own.rank and wanted.action != own.action:
        return f"the settings of {own.action.do!r} are the server's"
    return ""


def _opposed(floor: Policy, rule: Rule) -> str:
    """The floor's rule that an added one would steer against; empty where there is none."""
    pushes, ranges = _pushes(rule), _ranges(rule)
    for own in floor.monitors:
        watched = {own.what: 1.0} if isinstance(own.what, str) else own.what
        sign = own.monitor().sign
        for name, dose in pushes.items():
            if dose * sign * watched.get(name, 0.0) > 0 or dose * _pushes(own).get(name, 0.0) < 0:
                return f"{own.name!r}: it pushes {name!r} the other way"
        held = sorted(ranges & set(_pushes(own)))
        if held:
            return f"{own.name!r}: it holds {held[0]!r}, which that must be free to push"
    return ""


def _pushes(rule: Rule) -> dict[str, float]:
    if not isinstance(rule.action, Counter | Resample):
        return {}
    return {name: push if isinstance(push, float) else push.dose for name, push in rule.action.bias.items()}


def _ranges(rule: Rule) -> set[str]:
    if not isinstance(rule.action, Damp):
        return set()
    return set(rule.action.hold) if rule.action.hold is not None else {str(rule.what)}
