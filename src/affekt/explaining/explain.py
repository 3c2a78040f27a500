"""Why this reply: every candidate concept ablated in turn, against random directions that take as much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from affekt.engines.engine import Engine
from affekt.errors import CalibrationError, PromptError
from affekt.explaining.arms import Arm, Spreads, arms, band, places, spreads, with_arms
from affekt.explaining.chance import chance
from affekt.explaining.explanation import Control, Effect, Explanation, Place, Replied
from affekt.explaining.matching import shares
from affekt.explaining.screening import screen, strength
from affekt.explaining.told import Told
from affekt.progress import Progress
from affekt.steering.bias import Bias, Term, Where
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["ROWS", "Reopen", "explain"]

Reopen: TypeAlias = Callable[[ConceptVectors], Engine]
"""Opens an engine on the same model with other vectors: random directions are given as concepts."""

Ablation: TypeAlias = tuple[str, Place]
"""What is projected out, and where."""

Falls: TypeAlias = Mapping[Ablation, tuple[Float[np.ndarray, " _"], ...]]
"""For each reply, the fall of each token's log-probability under an ablation."""

ROWS = 60
"""Rows scored per reply, unless asked otherwise."""

TESTED = 8
"""Concepts tested, unless more are asked for."""

CONTROLS = 8
"""Fewest random directions at each place."""

CONTROLS_FULL = 24
"""Random directions at each place when all concepts are tested."""

CHUNK = 64
"""Rows given to the engine at a time."""


def explain(
    engine: Engine,
    vectors: ConceptVectors,
    told: Told,
    reopen: Reopen,
    *,
    against: Told | None = None,
    concepts: Sequence[str] = (),
    full: bool = False,
    rows: int = ROWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Explanation:
    """Ranks concepts by how far the reply's log-probability falls when they are projected out.

    Each is projected out of the residual at the steering layers: at every token but the very first, which is
    an attention sink; at the prompt's; at the reply's, which leaves its first token as it was. A fall is
    compared with those of random directions that take the same share of variance (see `matching`).

    A fall beyond chance says that the reply rests on the direction, not that it would not have come without
    the concept: other parts of the network may hold it as well.

    Args:
        engine: runs the model.
        vectors: directions and read-outs of the model.
        told: prompt and reply.
        reopen: opens an engine on the same model with more vectors.
        against: another reply to the same prompt; the log-odds between the two are explained then.
        concepts: names to be tested in any case.
        full: test all concepts, whatever it costs.
        rows: most rows scored per reply; more where the concepts asked for need them.
        seed: of the random directions.
        progress: told of the rows scored.

    Raises:
        PromptError: for two replies to different prompts, two that are the same, or a single token.
        UnknownConcept: for a name that the vectors do not hold.
        CalibrationError: for too few rows to compare anything.
    """
    texts = _texts(told, against)
    where = places(texts)
    if not where:
        raise PromptError("nothing to ablate: the prompt and the reply are one token each")
    room = _room(rows, len(where))
    shown = engine.read([text.whole for text in texts])
    asked = vectors.names if full else tuple(dict.fromkeys(concepts))
    wanted = max(len(asked), min(TESTED, room - CONTROLS))
    tested, said = screen(strength(shown, told.prompt_tokens), vectors, asked, wanted)
    text = spreads(engine, vectors.steer_layers, texts, where)
    count = CONTROLS_FULL if full else max(CONTROLS, room - len(tested))
    random = arms(text, vectors, tested, count, seed)

    ablations = [(name, place) for place in where for name in tested]
    ablations += [(arm.name, arm.place) for arm in random]
    base, falls = _falls(reopen(with_arms(vectors, random)), vectors.steer_layers, texts, ablations, progress)
    return Explanation(
        replies=tuple(
            Replied(reading.select(tested), own.prompt_tokens, tuple(logprobs.tolist()))
            for reading, own, logprobs in zip(shown, texts, base, strict=True)
        ),
        effects=_effects(text, vectors, tested, random, falls),
        controls=tuple(Control(a.like, a.place, a.share, _nats(falls[a.name, a.place])) for a in random),
        layers=vectors.steer_layers,
        screen=f"all {len(tested)}" if full else said,
        rows=(1 + len(ablations)) * len(texts),
        seed=seed,
    )


def _texts(told: Told, against: Told | None) -> tuple[Told, ...]:
    if against is None:
        return (told,)
    if told.whole.ids[: told.prompt_tokens] != against.whole.ids[: against.prompt_tokens]:
        raise PromptError("the two replies answer different prompts; a pair needs one prompt")
    if told.reply == against.reply:
        raise PromptError("the two replies are the same; give another one to set it against")
    return (told, against)


def _room(rows: int, where: int) -> int:
    """How many directions can be ablated at each place."""
    room, least = (rows - 1) // where, 1 + CONTROLS
    if room < least:
        raise CalibrationError(
            f"{rows} rows are too few: one concept and {CONTROLS} random directions at {where} places need "
            f"{1 + where * least}"
        )
    return room


def _falls(
    engine: Engine,
    layers: tuple[int, ...],
    texts: Sequence[Told],
    ablations: Sequence[Ablation],
    progress: Progress | None,
) -> tuple[tuple[Float[np.ndarray, " _"], ...], Falls]:
    """Each reply's log-probabilities as they are, and their falls under each ablation."""
    biases = [Bias(), *(Bias((Term(name, "ablate", layers, where=Where(at)),)) for name, at in ablations)]
    rows = [(text, bias) for bias in biases for text in texts]
    scored: list[Float[np.ndarray, " _"]] = []
    if progress is not None:
        progress("ablating", 0, len(rows))
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        prompts, replies = [text.prompt for text, _ in part], [text.reply for text, _ in part]
        scored += engine.score(prompts, replies, [bias for _, bias in part])
        if progress is not None:
            progress("ablating", len(scored), len(rows))
    each = [tuple(scored[i : i + len(texts)]) for i in range(0, len(scored), len(texts))]
    base = each[0]
    falls = {
        ablation: tuple(before - after for before, after in zip(base, own, strict=True))
        for ablation, own in zip(ablations, each[1:], strict=True)
    }
    return base, falls


def _effects(
    text: Spreads, vectors: ConceptVectors, tested: Sequence[str], random: Sequence[Arm], falls: Falls
) -> tuple[Effect, ...]:
    """Place by place, largest z first."""
    return tuple(
        chain.from_iterable(_effects_at(place, text, vectors, tested, random, falls) for place in text)
    )


def _effects_at(
    place: Place,
    text: Spreads,
    vectors: ConceptVectors,
    tested: Sequence[str],
    random: Sequence[Arm],
    falls: Falls,
) -> list[Effect]:
    controls = [arm for arm in random if arm.place == place]
    by_chance = chance([_nats(falls[a.name, place]) for a in controls], [a.share for a in controls])
    effects = []
    for name in tested:
        own = falls[name, place]
        share = float(shares(band(vectors, name), text[place]).mean())
        verdict = by_chance.verdict(_nats(own), share)
        effects.append(
            Effect(
                concept=name,
                place=place,
                nats=_nats(own),
                share=share,
                chance=verdict,
                n=by_chance.n,
                p_corrected=min(1.0, verdict.p * len(tested) * len(text)),
                falls=tuple(tuple(fall.tolist()) for fall in own),
            )
        )
    return sorted(effects, key=lambda effect: -effect.chance.z)


def _nats(falls: Sequence[Float[np.ndarray, " _"]]) -> float:
    """Fall of the log-probability of one reply, or of the log-odds of two."""
    total = [float(fall.sum()) for fall in falls]
    return total[0] - (total[1] if len(total) > 1 else 0.0)
