"""Several rules' biases as one: pushes side by side, ranges narrowed to what they share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from affekt.errors import BiasError
from affekt.steering.bias import Bias
from affekt.steering.term import Term

__all__ = ["blend", "over", "scaled"]


def blend(biases: Iterable[Bias]) -> Bias:
    """All of them at once; `add` and `clamp` terms only.

    Raises:
        BiasError: two ranges of one concept that do not meet.
    """
    pushes: list[Term] = []
    ranges: dict[tuple[object, ...], Term] = {}
    for term in (term for bias in biases for term in bias.terms):
        if term.mode != "clamp":
            pushes.append(term)
            continue
        key = (term.concept, term.layers, term.where)
        before = ranges.get(key, term)
        low, high = max(before.low, term.low), min(before.high, term.high)
        if low > high:
            raise BiasError(f"{term.concept!r} cannot be held at {low:g} or more and at {high:g} or less")
        ranges[key] = replace(term, low=low, high=high)
    return Bias((*pushes, *ranges.values()))


def scaled(bias: Bias, share: float) -> Bias:
    """Pushes at a share of their strength."""
    return Bias(tuple(replace(term, dose=term.dose * share) for term in bias.terms))


def over(guard: Bias, request: Bias) -> Bias:
    """A request's bias under a guard's, which wins; where both would be too many terms, the guard's alone."""
    try:
        return request.under(guard)
    except BiasError:
        return guard
