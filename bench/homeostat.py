"""What the homeostat does to replies that read as fear, anger or desperation, against random directions.

    python bench/homeostat.py [--model smollm2-135m-instruct] [--vectors FILE] [--tokens 40] [--dose 0.25]
                              [--part held-out] [--samples 3] [--keep FILE]

The model replies to messages that imply fear, anger or desperation, every second one of which is for
development. Counted are the replies whose mean reading is over a threshold under which 95 % of its neutral
replies' means lie (or another share, by `--rate`). They are written again under policies that act while the
last 8 tokens read over it: calm up; what is watched down; half of each (all of one norm); and each with
random directions of the same norm in the place of the concepts': isotropic, or of the covariance of the
concepts' own. Prints the share whose mean comes back under the threshold, as the guard reads it and as the
unsteered model reads the text alone, and what it costs in coherence, as JSON. `--keep` is a file of
bench/guard.py."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from guard import RATES, WATCHED, WINDOW, add_options, means_of, opened

from affekt.concepts import emotions
from affekt.concepts.shipped import implicit
from affekt.engines import Reply, Sampling, TransformersEngine
from affekt.guards import guard
from affekt.guards.conformal import conformal
from affekt.quality.coherence import loops
from affekt.steering.control import random_directions
from affekt.vectors import ConceptVectors

COUNTER = "calm"


@dataclass(frozen=True)
class Prompt:
    """A message that implies an emotion."""

    place: int
    concept: str
    text: str
    threshold: float
    sampling: Sampling


@dataclass(frozen=True)
class Case:
    """What one arm made of it."""

    mean: float
    """Mean z as the guard reads it, what it steers included."""
    text: float
    """Mean z of the text as the unsteered model reads it."""
    back: bool
    back_text: bool
    loss: float
    broken: bool
    tripped: bool


def with_random(vectors: ConceptVectors, seed: int, isotropic: bool) -> ConceptVectors:
    """The same vectors, but what steers as calm, or as one of those watched, is a random direction at each
    layer."""
    stack = getattr(vectors, vectors.steer_variant).clone()
    names = (COUNTER, *WATCHED.values())
    for layer in range(len(vectors.layers)):
        sample = None if isotropic else stack[layer].clone()
        drawn = random_directions(len(names), stack.shape[-1], seed, sample=sample)
        for name, direction in zip(names, drawn, strict=True):
            stack[layer, vectors.index(name)] = direction
    return replace(vectors, **{vectors.steer_variant: stack})


Push = Callable[[str, float], Mapping[str, Any]]
"""The counter-bias for what is watched, of a dose."""

COUNTERS: Mapping[str, Push] = {
    "calm up": lambda _, dose: {COUNTER: {"dose": dose}},
    "what is watched down": lambda name, dose: {name: {"dose": -dose}},
    "both, of the same norm": lambda name, dose: {
        COUNTER: {"dose": dose / math.sqrt(2)},
        name: {"dose": -dose / math.sqrt(2)},
    },
}


def arm(
    engine: TransformersEngine,
    plain: TransformersEngine,
    asked: Sequence[Prompt],
    push: Push | None = None,
    dose: float = 0.0,
) -> list[Case]:
    """Every prompt's reply under a rule for its own concept; losses are those of the unsteered model."""
    requests = []
    for number, one in enumerate(asked):
        rule = {"what": one.concept, "position": "window", "window": WINDOW, "threshold": one.threshold}
        action: Any = "observe"
        if push is not None:
            action = {"do": "counter", "bias": push(one.concept, dose)}
        guarded = guard(engine, {"monitors": [rule | {"action": action}]})
        request = guarded.request([{"role": "user", "content": one.text}], one.sampling, id=str(number))
        requests.append(replace(request, read=(one.concept,)))
    done = {int(piece.request): piece for piece in engine.generate(requests) if isinstance(piece, Reply)}
    spoken = [number for number in range(len(asked)) if done[number].tokens]
    scores = plain.score([requests[i].source for i in spoken], [done[i].tokens for i in spoken])
    losses = dict(zip(spoken, (-float(np.mean(score)) for score in scores), strict=True))
    again = plain.read([done[i].whole for i in range(len(asked))], tuple(WATCHED.values()))
    cases = []
    for number, one in enumerate(asked):
        reply = done[number]
        [mean] = means_of(reply)
        broken = not reply.tokens or loops(reply.tokens)
        loss = losses.get(number, float("nan"))
        [text] = means_of(replace(reply, reading=again[number].select([one.concept])))
        back, back_text = mean <= one.threshold, text <= one.threshold
        cases.append(Case(mean, text, back, back_text, loss, broken, bool(reply.events)))
    return cases


def summed(cases: Sequence[Case], base: Sequence[Case], asked: Sequence[Prompt]) -> dict[str, Any]:
    """One arm against the unguarded one; `cases` may go round them several times."""
    pairs = [(one, base[i % len(base)]) for i, one in enumerate(cases)]

    def mean(values: Sequence[float]) -> dict[str, float]:
        return averaged(values, [asked[i % len(base)].place for i in range(len(cases))])

    return {
        "replies": len(cases),
        "share_back_under_threshold": mean([float(one.back) for one, _ in pairs]),
        "share_back_and_whole": mean([float(one.back and not one.broken) for one, _ in pairs]),
        "share_whose_text_is_back_and_whole": mean(
            [float(one.back_text and not one.broken) for one, _ in pairs]
        ),
        "mean_z": mean([one.mean for one, _ in pairs]),
        "mean_z_change": mean([one.mean - other.mean for one, other in pairs]),
        "mean_z_change_of_the_text": mean([one.text - other.text for one, other in pairs]),
        "coherence_loss_nats_per_token": mean([one.loss - other.loss for one, other in pairs]),
        "broken": mean([float(one.broken) for one, _ in pairs]),
        "tripped": mean([float(one.tripped) for one, _ in pairs]),
    }


def averaged(values: Sequence[float], prompts: Sequence[int]) -> dict[str, float]:
    """The mean over prompts, with a 95 % interval by bootstrap over prompts; replies to one are no others."""
    own: dict[int, list[float]] = {}
    for value, prompt in zip(values, prompts, strict=True):
        if np.isfinite(value):
            own.setdefault(prompt, []).append(value)
    each = np.array([np.mean(group) for group in own.values()] or [np.nan])
    draws = each[np.random.default_rng(0).integers(len(each), size=(5000, len(each)))].mean(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"mean": float(each.mean()), "low": float(low), "high": float(high), "prompts": len(own)}


def homeostat(
    engine: TransformersEngine, thresholds: Mapping[str, float], options: argparse.Namespace
) -> dict[str, Any]:
    """All arms on the prompts whose unguarded reply is over its threshold."""
    clusters = {concept.name: concept.cluster for concept in emotions()}
    found = []
    for cluster in WATCHED:
        own = [one for one in implicit() if clusters.get(one.concept) == cluster]
        found += own if options.part == "all" else own[options.part == "held-out" :: 2]
    found = found[: options.prompts]
    asked = []
    for sample in range(options.samples):
        for place, one in enumerate(found):
            sampling = Sampling(options.tokens)
            if options.samples > 1:
                sampling = Sampling(options.tokens, 0.7, seed=1000 * sample + place)
            concept = WATCHED[str(clusters[one.concept])]
            asked.append(Prompt(place, concept, one.text, thresholds[concept], sampling))
    every = arm(engine, engine, asked)
    high = [i for i, case in enumerate(every) if case.mean > asked[i].threshold]
    result = {
        "replies": len(asked),
        "over_threshold": len(high),
        "thresholds": dict(thresholds),
        "dose": options.dose,
        "rate": options.rate,
        "part": options.part,
        "samples": options.samples,
    }
    if not high:
        return result
    asked, base = [asked[i] for i in high], [every[i] for i in high]
    vectors = engine.vectors
    assert vectors is not None
    arms = {"unguarded": summed(base, base, asked)}
    for name, push in COUNTERS.items():
        print(name, file=sys.stderr, flush=True)
        arms[name] = summed(arm(engine, engine, asked, push, options.dose), base, asked)
        print(json.dumps({name: arms[name]}), file=sys.stderr, flush=True)
    for kind in ("isotropic", "concept covariance"):
        for name in options.control or tuple(COUNTERS):
            cases: list[Case] = []
            for seed in range(options.randoms):
                print(f"random, {kind}, for {name}, {seed}", file=sys.stderr, flush=True)
                other = with_random(vectors, seed, isotropic=kind == "isotropic")
                steered = TransformersEngine(engine.model, other)
                cases += arm(steered, engine, asked, COUNTERS[name], options.dose)
            arms[f"random for {name}, {kind}, {options.randoms} draws"] = summed(cases, base, asked)
    return result | {"arms": arms}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--prompts", type=int, default=None, help="only the first so many")
    parser.add_argument("--samples", type=int, default=1, help="over 1: so many drawn at temperature 0.7")
    parser.add_argument("--randoms", type=int, default=2, help="directions of each kind")
    parser.add_argument("--part", choices=("development", "held-out", "all"), default="held-out")
    parser.add_argument("--control", action="append", choices=tuple(COUNTERS), help="all unless given")
    parser.add_argument("--rate", type=float, default=RATES[-1], help="of neutral means over the threshold")
    parser.add_argument("--dose", type=float, default=0.25, help="at most, in mean residual norms")
    options = parser.parse_args()
    engine, _, means = opened(options)
    rate = max(options.rate, 1 / (options.dialogues + 1))
    thresholds = {name: conformal(groups, rate).threshold for name, groups in means.items()}
    result = {"model": options.model, "tokens": options.tokens}
    print(json.dumps(result | homeostat(engine, thresholds, options), indent=2))


if __name__ == "__main__":
    main()
