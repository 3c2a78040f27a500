"""Forced choices: which of two activities, by the logits of A and B (paper section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from affekt.engines import TransformersEngine
from affekt.models.prompt import Encoded, Role, encode
from affekt.studies.lab import Lab

__all__ = ["compared", "compared_under", "letters", "question"]

ASKED = "Answer with one letter. Which of these would you rather be doing: (A) {a}, or (B) {b}?"
PREFILL = "("
GENERATION: tuple[Role, ...] = ("generation",)

CHUNK = 512
"""Comparisons of one call, between two reports of progress."""


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
    [odds] = compared_under(lab, engine, texts, played, [bias or {}], "preferences")
    return expit(odds), float(np.median(np.abs(odds[played])))


def compared_under(
    lab: Lab,
    engine: TransformersEngine,
    texts: Sequence[str],
    played: Bool[np.ndarray, "items items"],
    biases: Sequence[Mapping[int, Mapping[str, Any]]],
    stage: str,
) -> list[Float[np.ndarray, "items items"]]:
    """The log odds that the first of each ordered pair is chosen, under each of several biases: what these do
    not steer of a prompt is run once.

    Args:
        lab: model and tokenizer, told how far it is.
        engine: what runs it.
        texts: the activities.
        played: which ordered pairs to compare. The others are 0.
        biases: each for some activities what steers their tokens.
        stage: its name for the progress.
    """
    asked = [(int(i), int(j)) for i, j in zip(*np.nonzero(played), strict=True)]
    prompts = [question(lab, texts[i], texts[j]) for i, j in asked]
    step = max(1, CHUNK // len(biases))
    odds = np.zeros((len(biases), *played.shape))
    for at in _told(lab, stage, len(prompts), step):
        some, pairs = prompts[at : at + step], asked[at : at + step]
        measure = partial(_odds, lab, engine, texts, some, pairs, biases)
        found = lab.parts.once(f"{stage} {at}", measure)
        for column, (i, j) in enumerate(pairs):
            odds[:, i, j] = [each[column] for each in found]
    return list(odds)


def _odds(
    lab: Lab,
    engine: TransformersEngine,
    texts: Sequence[str],
    prompts: Sequence[Encoded],
    pairs: Sequence[tuple[int, int]],
    biases: Sequence[Mapping[int, Mapping[str, Any]]],
) -> list[list[float]]:
    """Log odds of A over B, by bias and comparison."""
    steered = [
        _bias(prompt, texts, pair, bias)
        for bias in biases
        for prompt, pair in zip(prompts, pairs, strict=True)
    ]
    logits = engine.next_token(list(prompts) * len(biases), steered, letters(lab))
    odds: list[list[float]] = (logits[:, 0] - logits[:, 1]).reshape(len(biases), -1).tolist()
    return odds


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


def _told(lab: Lab, stage: str, total: int, step: int) -> Iterator[int]:
    for at in range(0, total, step):
        lab.told(stage, at, total)
        yield at
    lab.told(stage, total, total)
