"""Forced choices: which of two activities, by the logits of A and B (paper section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from affekt.engines import TransformersEngine
from affekt.models.prompt import Encoded, Role, encode
from affekt.studies.lab import Lab

__all__ = ["compared", "letters", "question"]

ASKED = "Answer with one letter. Which of these would you rather be doing: (A) {a}, or (B) {b}?"
PREFILL = "("
GENERATION: tuple[Role, ...] = ("generation",)

CHUNK = 512
"""Comparisons between two reports of progress."""


def question(lab: Lab, a: str, b: str) -> Encoded:
    """One comparison, the reply begun with an open bracket."""
    chat = [{"role": "user", "content": ASKED.format(a=a, b=b)}]
    asked = encode(lab.model.tokenizer, chat, generation_prompt=True)
    more = tuple(lab.model.tokenizer(PREFILL, add_special_tokens=False)["input_ids"])
    end = len(asked.text)
    return replace(
        asked,
        ids=asked.ids + more,
        spans=asked.spans + ((end, end + len(PREFILL)),) * len(more),
        roles=asked.roles + GENERATION * len(more),
        text=asked.text + PREFILL,
    )


def letters(lab: Lab) -> list[int]:
    """The tokens of A and B as they follow the open bracket.

    A tokenizer that puts a space before a text's first letter would give another token for a letter alone.
    """

    def ids(text: str) -> list[int]:
        return list(lab.model.tokenizer(text, add_special_tokens=False)["input_ids"])

    begun = len(ids(PREFILL))
    follow = [ids(PREFILL + letter)[begun:] for letter in "AB"]
    return [(after or ids(letter))[0 if after else -1] for after, letter in zip(follow, "AB", strict=True)]


def compared(
    lab: Lab,
    engine: TransformersEngine,
    texts: Sequence[str],
    pairs: Bool[np.ndarray, "items items"] | None = None,
    bias: Mapping[int, Mapping[str, Any]] | None = None,
) -> tuple[Float[np.ndarray, "items items"], float]:
    """The probability that the first of each ordered pair is chosen.

    Args:
        lab: model and tokenizer.
        engine: what runs it.
        texts: the activities.
        pairs: which to compare; all by default. The others are 0.5.
        bias: for some activities, what steers their tokens.

    Returns:
        Probabilities of A among A and B, and the median |log odds|.
    """
    played = ~np.eye(len(texts), dtype=bool) if pairs is None else pairs
    asked = [(int(i), int(j)) for i, j in zip(*np.nonzero(played), strict=True)]
    prompts = [question(lab, texts[i], texts[j]) for i, j in asked]
    biases = None
    if bias is not None:
        biases = [_bias(prompt, texts, pair, bias) for prompt, pair in zip(prompts, asked, strict=True)]
    logits = np.concatenate(
        [
            engine.next_token(
                prompts[at : at + CHUNK], None if biases is None else biases[at : at + CHUNK], letters(lab)
            )
            for at in _told(lab, len(prompts), CHUNK)
        ]
    )
    odds = logits[:, 0] - logits[:, 1]
    wins = np.full(played.shape, 0.5)
    for (i, j), value in zip(asked, odds, strict=True):
        wins[i, j] = 1 / (1 + np.exp(-float(value)))
    return wins, float(np.median(np.abs(odds)))


def _bias(
    prompt: Encoded, texts: Sequence[str], pair: tuple[int, int], bias: Mapping[int, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """What steers one comparison: the tokens of those of its activities that are steered."""
    terms: dict[str, list[Any]] = {}
    for item in pair:
        if item in bias:
            start = prompt.text.index(texts[item])
            where = {"span": [start, start + len(texts[item])]}
            for name, term in bias[item].items():
                terms.setdefault(name, []).append({**term, "where": where})
    return terms or None


def _told(lab: Lab, total: int, step: int) -> Iterator[int]:
    for at in range(0, total, step):
        lab.told("preferences", at, total)
        yield at
    lab.told("preferences", total, total)
