"""Both models on the same text: where in it the readings part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from affekt.audit.comparison import ALL, Comparison, Pair, TokenCarrier
from affekt.audit.measure import reply_tokens
from affekt.audit.prompts import chat, plain
from affekt.audit.subject import Open
from affekt.concepts import Source
from affekt.reading import Reading

__all__ = ["Example", "examples", "with_tokens"]

MOST = 3
"""Texts shown."""

TOKENS = 5
"""Tokens named for a concept."""

CONTEXT = 30
"""Characters shown before a token."""


@dataclass(frozen=True, eq=False)
class Example:
    """One text, the tuned model's reply in it, read by both models."""

    pair: Pair
    """The prompt and both replies."""
    base: Reading
    """The base, or the first control, on the prompt and the tuned model's reply."""
    tuned: Reading
    """The tuned model on the same."""


def examples(open: Open, comparison: Comparison) -> list[Example]:
    """The prompts that moved farthest, token by token, for the concepts whose replies moved farthest.

    Args:
        open: opens a model by its name, on an engine that holds the vectors of the comparison.
        comparison: with the reply among its views; without it there is nothing to show.
    """
    pairs = [pair for pair in comparison.pairs if pair.tuned.strip()][:MOST]
    if not pairs:
        return []
    shifts = [one for one in comparison.shifts("reply", ALL) if one.shift == one.shift]
    shown = [one.name for one in sorted(shifts, key=lambda one: -abs(one.units))[:MOST]]
    sources: list[Source] = [
        [*chat(pair.text), {"role": "assistant", "content": pair.tuned}]
        if comparison.reply_form == "chat"
        else f"{plain(pair.text)} {pair.tuned.strip()}"
        for pair in pairs
    ]
    base = _read(open, comparison.reference[0], sources, shown)
    tuned = _read(open, comparison.tuned, sources, shown)
    return [Example(*three) for three in zip(pairs, base, tuned, strict=True)]


def with_tokens(comparison: Comparison, examples: Sequence[Example]) -> Comparison:
    """The comparison with the tokens of the examples' replies that carry its concepts' shifts most."""
    if not examples:
        return comparison
    found = []
    for name in examples[0].tuned.concepts:
        way = np.sign(comparison.at("reply", ALL, name).shift)
        parts = [
            (float(each.tuned.of(name)[i] - each.base.of(name)[i]), each, i)
            for each in examples
            for i in reply_tokens(each.tuned)
        ]
        total = sum(part for part, _, _ in parts)
        for part, each, i in sorted(parts, key=lambda one: -one[0] * way)[:TOKENS]:
            begin, first = each.tuned.spans[i][0], each.tuned.spans[reply_tokens(each.tuned)[0]][0]
            found.append(
                TokenCarrier(
                    name=name,
                    prompt=each.pair.prompt,
                    before=each.tuned.text[max(first, begin - CONTEXT) : begin],
                    token=each.tuned.tokens[i],
                    base=float(each.base.of(name)[i]),
                    tuned=float(each.tuned.of(name)[i]),
                    share=part / total if total else 0.0,
                )
            )
    return replace(comparison, tokens=tuple(found))


def _read(open: Open, name: str, sources: Sequence[Source], shown: Sequence[str]) -> list[Reading]:
    return open(name).engine.read(sources, shown)
