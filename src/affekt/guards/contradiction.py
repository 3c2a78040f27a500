"""Rules that cannot all be meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from affekt.guards.action import Counter, Damp, Resample
from affekt.guards.document import At
from affekt.guards.rule import Rule

__all__ = ["contradiction"]


def contradiction(rules: Sequence[Rule], hold_back: int | None = None) -> tuple[At, str] | None:
    """The first contradiction of a policy, and where it stands; None where there is none.

    Args:
        rules: thresholds that a calibration sets are compared by their rates, others by their z.
        hold_back: by how many tokens the stream is delayed, if that is stated.
    """
    return next(_contradictions(rules, hold_back), None)


def _contradictions(rules: Sequence[Rule], hold_back: int | None) -> Iterator[tuple[At, str]]:
    for index, rule in enumerate(rules):
        for at, message in _alone(rule, hold_back):
            yield ("monitors", index, *at), message
    for (first, one), (second, other) in combinations(enumerate(rules), 2):
        message = _together(one, other)
        if message:
            yield ("monitors", second), f"{message} (see monitors[{first}])"


def _alone(rule: Rule, hold_back: int | None) -> Iterator[tuple[At, str]]:
    action = rule.action
    once = rule.position == "prompt_end"
    if once and isinstance(action, Counter):
        yield ("position",), "'counter' follows a reading over the reply; use 'damp', or another position"
    if once and isinstance(action, Resample):
        yield ("position",), "at the prompt's end there are no tokens to drop; use 'damp', 'refuse' or 'stop'"
    if isinstance(action, Damp) and action.hold is None and not isinstance(rule.what, str):
        yield ("action",), "'damp' on several concepts needs 'hold', the range of each"
    if isinstance(action, Damp) and action.hold is None and rule.what in ("valence", "arousal"):
        yield ("action",), f"'damp' cannot hold {rule.what} itself; give 'hold', the range of some concepts"
    if isinstance(action, Resample) and hold_back is not None and action.drop > hold_back + 1:
        yield (
            ("action", "drop"),
            f"with a hold_back of {hold_back}, {action.drop} tokens cannot be dropped: the first of them "
            f"have been shown; drop at most {hold_back + 1}, or leave hold_back out",
        )
    if isinstance(action, Counter | Resample):
        watched = {rule.what: 1.0} if isinstance(rule.what, str) else rule.what
        for name, push in action.bias.items():
            dose = push if isinstance(push, float) else push.dose
            if dose == 0:
                yield ("action", "bias", name), "a counter-bias of 0 does nothing"
            sign = 1 if rule.direction == "above" else -1
            if dose * watched.get(name, 0.0) * sign > 0:
                yield ("action", "bias", name), f"this pushes {name!r} to the side on which it trips"


def _together(one: Rule, other: Rule) -> str:
    if one.name == other.name:
        return f"two monitors of the name {one.name!r}; give them names"
    if not one.monitor().same_values(other.monitor()):
        return _ranges(one, other)
    if one.direction != other.direction:
        above, below = (one, other) if one.direction == "above" else (other, one)
        if above.threshold is not None and below.threshold is not None and above.threshold < below.threshold:
            return "any reading trips one of these two: the upper threshold is under the lower one"
        return ""
    order = _milder(one, other)
    if order is None:
        return ""
    if order == 0:
        return f"the same threshold has two actions, {one.action.do} and {other.action.do}; keep the harsher"
    first, second = (one, other) if order > 0 else (other, one)
    if first.rank > second.rank:
        return (
            f"{second.action.do!r} is milder than {first.action.do!r}, but its threshold is reached later; "
            f"actions rise with the threshold"
        )
    return _ranges(one, other)


def _milder(one: Rule, other: Rule) -> float | None:
    """Positive where `one` trips before `other`, 0 where together, None where only a calibration can tell."""
    if one.threshold is not None and other.threshold is not None:
        return (other.threshold - one.threshold) * (1 if one.direction == "above" else -1)
    if one.rate is not None and other.rate is not None:
        return one.rate - other.rate
    return None


def _ranges(one: Rule, other: Rule) -> str:
    """Two dampings of one concept to ranges that do not meet."""
    if not (isinstance(one.action, Damp) and isinstance(other.action, Damp)):
        return ""
    for name, first in (one.action.hold or {}).items():
        second = (other.action.hold or {}).get(name)
        if second is None:
            continue
        for low, high in ((first.low, second.high), (second.low, first.high)):
            if low is not None and high is not None and low > high:
                return f"{name!r} cannot be held at {low:g} or more and at {high:g} or less"
    return ""
