"""An explanation in words, for every way to show it."""

from __future__ import annotations

from collections.abc import Mapping

from affekt.explaining.explanation import Effect, Explanation, Place

__all__ = ["PLACE_NAMES", "method", "nats", "p_value", "said", "signed"]

PLACE_NAMES: Mapping[Place, str] = {
    "both": "prompt and reply",
    "prompt": "prompt alone",
    "reply": "reply alone",
}
"""The places as a reader sees them."""


def said(explanation: Explanation) -> str:
    """What was found, in a sentence or two."""
    ranking = explanation.ranking()
    causes = [effect for effect in ranking if effect.stands_out and effect.chance.z > 0]
    brakes = [effect for effect in reversed(ranking) if effect.stands_out and effect.chance.z < 0]
    first = explanation.replies[0]
    if explanation.is_pair:
        other = explanation.replies[1]
        what = (
            f"The log-odds of the first reply ({len(first.logprobs)} tokens) against the other "
            f"({len(other.logprobs)}) are {signed(explanation.nats)} nats."
        )
    else:
        count = len(first.logprobs)
        what = f"The reply's {count} tokens have a log-probability of {signed(explanation.nats)} nats."
    found = []
    if causes:
        found.append(f"it rests on {_listed(causes)}")
    if brakes:
        found.append(f"{_listed(brakes)} spoke against it")
    if not found:
        return f"{what} None of the {len(ranking)} concepts tested does more than random directions."
    return f"{what} Beyond chance, {'; '.join(found)}."


def method(explanation: Explanation) -> str:
    """How it was measured."""
    effect = explanation.effects[0]
    layers = explanation.layers
    band = f"layer {layers[0]}" if len(layers) == 1 else f"layers {layers[0]} to {layers[-1]}"
    return (
        f"Tested: {explanation.screen}. Each was projected out of the residual at {band}. Random directions: "
        f"{effect.n} at each place, turned from the tested concepts, each at right angles to its own and "
        f"matched to the share of variance that it takes there. {explanation.rows} rows scored. The effects "
        f"are of directions in the residual stream: other parts of the network may carry the concept too."
    )


def nats(value: float) -> str:
    """`+1.23 nats`."""
    return f"{signed(value)} nats"


def signed(value: float) -> str:
    """With its sign and about three digits."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:+.{digits}f}".replace("-", "−")


def p_value(effect: Effect) -> str:
    """The p after correction."""
    return "p < 0.001" if effect.p_corrected < 0.001 else f"p = {effect.p_corrected:.2g}"


def _listed(effects: list[Effect]) -> str:
    return ", ".join(f"{effect.concept} ({signed(effect.nats)})" for effect in effects)
