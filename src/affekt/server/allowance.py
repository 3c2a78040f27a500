"""How much a request may steer, by its `emotion_bias` or by rules of its own policy."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from affekt.errors import BiasError
from affekt.guards.action import Counter, Damp, Push, Resample
from affekt.guards.policy import Policy
from affekt.server.access import Dial
from affekt.server.failures import Refused
from affekt.steering.bias import parse
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["check_bias", "check_policy"]


def check_bias(vectors: ConceptVectors | None, bias: Mapping[str, Any] | None, dial: Dial) -> None:
    """Refuses a bias that the operator does not allow, or that says nothing sensible.

    Raises:
        Refused: forbidden, beyond the cap, or in a form that is not allowed.
        BiasError, UnknownConcept: wrong in itself.
    """
    if not bias:
        return
    if dial.most == 0:
        raise Refused(403, "emotion_bias is not allowed here", "bias_forbidden", "emotion_bias")
    for name, value in bias.items():
        full = any(isinstance(form, Mapping) and set(form) - {"dial"} for form in _forms(value))
        if full and not dial.raw:
            message = f"emotion_bias.{name}: only the dial, -{dial.most:g} to {dial.most:g}, is allowed here"
            raise Refused(403, message, "raw_dose_forbidden", "emotion_bias")
        total = _total(value)
        if not total <= dial.most:
            message = f"emotion_bias.{name} is {total:g}; give -{dial.most:g} to {dial.most:g}"
            raise Refused(400, message, "bias_too_large", "emotion_bias")
    if vectors is None:
        raise BiasError("this server has no concept vectors to steer with")
    parse(bias, vectors)


def check_policy(policy: Policy, bias: Mapping[str, Any] | None, dial: Dial, floor: Policy | None) -> None:
    """Refuses a request's rules that would steer by more than its bias may.

    What rules and bias push a concept by adds up. To hold a reading is a full form of a bias, so `damp` is
    for those who may give that. An action that the floor's rule of that name has is the operator's own.

    Raises:
        Refused: forbidden, beyond the cap, or in a form that is not allowed.
    """
    own = {rule.name: rule.action for rule in floor.monitors} if floor is not None else {}
    totals = {name: _total(value) for name, value in (bias or {}).items()}
    for index, rule in enumerate(policy.monitors):
        action, at = rule.action, f"policy.monitors[{index}].action"
        if not isinstance(action, Counter | Damp | Resample) or action == own.get(rule.name):
            continue
        if dial.most == 0:
            raise Refused(403, f"{at}: {action.do!r} steers, which is not allowed here", "bias_forbidden", at)
        pushes = {} if isinstance(action, Damp) else action.bias
        if not dial.raw and (not pushes or any(isinstance(push, Push) for push in pushes.values())):
            message = f"{at}: {action.do!r} steers beyond the dial, and only that is allowed here"
            raise Refused(403, message, "raw_dose_forbidden", at)
        for name, push in pushes.items():
            totals[name] = totals.get(name, 0.0) + (0.0 if isinstance(push, Push) else abs(push))
            if totals[name] > dial.most:
                message = f"{at}: {name!r} may be pushed by {dial.most:g} at most, not by {totals[name]:g}"
                raise Refused(400, message, "bias_too_large", at)


def _forms(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _total(value: Any) -> float:
    """The dials of a concept's forms; several of them add up."""
    return sum(abs(_dial(form)) for form in _forms(value))


def _dial(form: Any) -> float:
    """The dial of a form; 0 where it has none, or none that is a number."""
    dial = form.get("dial", 0.0) if isinstance(form, Mapping) else form
    if isinstance(dial, bool) or not isinstance(dial, int | float):
        return 0.0
    try:
        return float(dial)
    except OverflowError:
        return inf
