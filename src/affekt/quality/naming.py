"""Does steering by a concept make the model name it? The 12 x 12 matrix of "He feels …"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from affekt.concepts import Source
from affekt.engines.engine import Engine
from affekt.quality.bootstrap import count, mean
from affekt.quality.controls import with_random
from affekt.quality.figure import Figure
from affekt.quality.section import Cell, Section, unmeasured
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["DISPLAY", "DOSES", "TITLE", "EngineFor", "naming", "raises"]

EngineFor: TypeAlias = Callable[[ConceptVectors], Engine]
"""Makes an engine that steers by a set of vectors; the model behind it is opened already."""

TITLE = "Does steering by a concept make the model name it?"

DISPLAY = (
    "happy",
    "inspired",
    "loving",
    "proud",
    "calm",
    "desperate",
    "angry",
    "guilty",
    "sad",
    "afraid",
    "nervous",
    "surprised",
)
"""The paper's twelve (section 1.1)."""

QUESTION = "How does he feel?"
PREFIX = "He feels"

DOSES = (0.15, 0.3)
"""Doses tried, in mean residual norms over the steering band."""

RANDOM = 20
"""Random directions of each kind."""


def naming(
    engine_for: EngineFor,
    vectors: ConceptVectors,
    doses: Sequence[float] = DOSES,
    random: int = RANDOM,
    seed: int = 0,
    question: str = QUESTION,
    prefix: str = PREFIX,
) -> Section:
    """Change of each display word's log-probability after "He feels" under each word's vector (paper 3.6).

    Random directions of the same norm are steered by as well: those of the whole space, and mixtures of the
    concepts' vectors, which lie where residuals vary.

    Args:
        engine_for: makes engines for the vectors with random directions beside them.
        vectors: what steers, by its own variant and band.
        doses: each is used for every direction.
        random: directions of each of the two kinds.
        seed: of their draw.
        question: what the user asks.
        prefix: how the reply begins.
    """
    shown = [name for name in DISPLAY if name in vectors.names]
    if len(shown) < 3:
        return unmeasured(TITLE, "the vectors hold fewer than three of the paper's display emotions")
    everything, plain = with_random(vectors, random, seed)
    everything, mixed = with_random(everything, random, seed + 1, spanned=True)
    arms = [*shown, *plain, *mixed]
    engine = engine_for(everything)
    rows: list[tuple[Cell, ...]] = []
    data: dict[str, object] = {
        "words": shown,
        "question": question,
        "prefix": prefix,
        "layers": list(vectors.steer_layers),
    }
    verdicts = []
    for dose in doses:
        table = raises(engine, shown, arms, dose, question, prefix)
        k, r = len(shown), len(plain)
        matrix, noise, mixtures = table[:k], table[k : k + r], table[k + r :]
        own, others = matrix.diagonal(), (matrix.sum(0) - matrix.diagonal()) / (k - 1)
        best = int((matrix.argmax(0) == np.arange(k)).sum())
        beyond = own - np.maximum(noise.mean(0), mixtures.mean(0))
        figures = (
            mean(own, "words"),
            mean(others, "words"),
            mean(noise.mean(0), "words"),
            mean(mixtures.mean(0), "words"),
            mean(own - others, "words"),
            mean(beyond, "words"),
            count(best, k, "words"),
        )
        rows.append((f"{dose:g}", *figures))
        verdicts.append((dose, figures))
        data[f"dose {dose:g}"] = {
            "matrix": matrix.round(4).tolist(),
            "random": noise.round(4).tolist(),
            "mixtures": mixtures.round(4).tolist(),
            "p": {word: _p(own[j], np.concatenate([noise, mixtures])[:, j]) for j, word in enumerate(shown)},
        }
    return Section(
        TITLE,
        _verdict(verdicts, len(shown)),
        (
            "dose",
            "own word",
            "other words",
            "random",
            "mixtures",
            "own - other",
            "own - random",
            "best raiser",
        ),
        tuple(rows),
        (
            f'Change, in nats, of the log-probability of a word after "{question}" - "{prefix} …", all its '
            f"tokens, by steering at layers {_band(vectors)} ({vectors.steer_variant} vectors). Random: "
            f"{random} directions of the same norm; mixtures: {random} random mixtures of all concepts' "
            "vectors, of the same norm. "
            '"own - random" is against the stronger of the two.',
            f"Best raiser: the share of words whose own vector raises them most of the {len(shown)}; by "
            f"chance {1 / len(shown):.2f}.",
            "The dose is in mean residual norms, shared out over the band.",
        ),
        data,
    )


def raises(
    engine: Engine,
    words: Sequence[str],
    arms: Sequence[str],
    dose: float,
    question: str = QUESTION,
    prefix: str = PREFIX,
) -> Float[np.ndarray, "arms words"]:
    """Change of each word's log-probability after the prefix, under each concept's vector at a dose."""
    chat: Source = [{"role": "user", "content": question}]
    # How many tokens the prefix has is asked of the engine itself: its tokenizer is not ours to know.
    [begun] = engine.score([chat], [prefix])
    starts = [f"{prefix} {word}" for word in words]

    def run(arms: Sequence[str | None]) -> Float[np.ndarray, "arms words"]:
        biases = [{arm: {"dose": dose}} if arm is not None else None for arm in arms for _ in words]
        scores = engine.score([chat] * len(biases), starts * len(arms), biases)
        return np.array([float(score[len(begun) :].sum()) for score in scores]).reshape(len(arms), len(words))

    base = run([None])
    changes: Float[np.ndarray, "arms words"] = run(list(arms)) - base
    return changes


def _p(own: float, random: Float[np.ndarray, " directions"]) -> float:
    """Share of random directions that raise the word at least as much, itself counted."""
    return (float((random >= own).sum()) + 1) / (len(random) + 1)


def _band(vectors: ConceptVectors) -> str:
    layers = vectors.steer_layers
    return f"{layers[0]}-{layers[-1]}" if len(layers) > 1 else str(layers[0])


def _verdict(verdicts: Sequence[tuple[float, tuple[Figure, ...]]], words: int) -> str:
    good = [dose for dose, figures in verdicts if figures[4].low > 0 and figures[5].low > 0]
    if not good:
        return "Steering does not raise a concept's own word more than others and than random directions do."
    dose, figures = next((d, f) for d, f in verdicts if d == good[-1])
    best = round(figures[6].value * words)
    return (
        f"At a dose of {dose:g} a vector raises its own word, more than random directions of the same "
        f"norm do by {figures[5]}; it is the best raiser of its word for {best} of {words}."
    )
