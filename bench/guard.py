"""What a calibration's promise is worth on replies it has not seen.

    python bench/guard.py [--model smollm2-135m-instruct] [--vectors FILE] [--tokens 40] [--keep FILE]
                          [--confidence 0.95]

The model replies to the first turn of shipped neutral dialogues. Two thirds of the replies set the thresholds
for 1 % and 5 % false alarms per reply; alarms on the others are counted (interval: Clopper & Pearson), and
once more as a mean over many ways to part them. With a confidence the same ways are gone through with the
promise that it makes. Prints JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from affekt import load
from affekt.concepts.shipped import neutral
from affekt.engines import Reply, Request, Sampling, TransformersEngine
from affekt.guards import Drift, Monitor, needed
from affekt.guards.conformal import Groups, conformal
from affekt.guards.recorder import Recorder
from affekt.guards.recording import prompts
from affekt.vectors import load_vectors
from affekt.vectors.shelf import shelf

RATES = (0.01, 0.05)
WINDOW = 8
WATCHED = {"Fear and Overwhelm": "afraid", "Hostile Anger": "angry", "Despair and Shame": "desperate"}
"""Cluster of the emotion that a message implies, and the concept that is watched."""


def neutral_replies(
    engine: TransformersEngine, dialogues: int, sampling: Sampling
) -> tuple[dict[str, Groups], dict[str, Groups]]:
    """Per dialogue, of the reply to its first turn: each monitor's score, and each watched concept's mean."""
    watched = tuple(WATCHED.values())
    requests = [
        Request(turns[0], sampling, read=watched, guard=Recorder(monitors()), id=f"{dialogue}.0")
        for dialogue, turns in enumerate(prompts(neutral()[:dialogues]))
    ]
    scores: dict[str, dict[str, list[float]]] = {}
    done = 0
    for piece in engine.generate(requests):
        if isinstance(piece, Reply):
            done += 1
            if done % 20 == 0:
                print(f"neutral replies: {done} of {len(requests)}", file=sys.stderr, flush=True)
            means = dict(zip(watched, means_of(piece), strict=True))
            for name, value in {**piece.events[0], **{f"mean {key}": z for key, z in means.items()}}.items():
                if np.isfinite(value):
                    groups = scores.setdefault(name, {})
                    groups.setdefault(piece.request.split(".")[0], []).append(float(value))
    made = {name: list(groups.values()) for name, groups in scores.items()}
    return (
        {name: groups for name, groups in made.items() if not name.startswith("mean ")},
        {name: made[f"mean {name}"] for name in watched},
    )


def means_of(reply: Reply) -> list[float]:
    """Mean z of each concept read over the reply's words."""
    assert reply.reading is not None
    roles = reply.reading.roles[reply.prompt_tokens :]
    text = np.array([role != "special" for role in roles], dtype=bool)
    z = reply.reading.z[reply.prompt_tokens :][text]
    return [float(value) for value in z.mean(0)] if len(z) else [float("nan")] * z.shape[1]


def monitors() -> list[Monitor]:
    each = [Monitor(name, name) for name in (*WATCHED.values(), "hateful")]
    windows = [Monitor(f"{name}, window", name, "window", window=WINDOW) for name in WATCHED.values()]
    return [*each, *windows, Monitor("valence, low", "valence", direction="below")]


def promises(
    scores: Mapping[str, Groups], share: float, splits: int, seed: int, confidence: float | None = None
) -> list[dict[str, Any]]:
    """Per monitor and rate: alarms on the part that was not used, and the same over many ways to part.

    `over_the_promise` is the share of the ways in which the alarms on the unused part, a sample itself, are
    more than promised; `expected_over` what that share is for exchangeable replies that never tie.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for name, groups in scores.items():
        used = int(len(groups) * share)
        for rate in RATES:
            orders = [rng.permutation(len(groups)) for _ in range(splits)]
            if used < needed(rate, confidence):
                continue
            rates = []
            for split, order in enumerate(orders):
                before, later = ([groups[i] for i in part] for part in (order[:used], order[used:]))
                promise = conformal(before, rate, confidence)
                if split == 0:
                    first = Drift.of(name, promise, before, later)
                rates.append(float(np.mean([np.mean(np.array(g) > promise.threshold) for g in later])))
            rows.append(
                {
                    "monitor": name,
                    "promised": rate,
                    "confidence": confidence,
                    "threshold": first.promise.threshold,
                    "calibrated_on": first.promise.n,
                    "unused_dialogues": first.n,
                    "unused_replies": sum(map(len, later)),
                    "observed": first.rate,
                    "low": first.low,
                    "high": first.high,
                    "promise_in_interval": first.low <= rate <= first.high,
                    "p_more_than_promised": first.p_rate,
                    f"mean_of_{splits}_splits": float(np.mean(rates)),
                    "over_the_promise": float(np.mean(np.array(rates) > rate)),
                    "expected_over": over_by_chance(first),
                }
            )
    return rows


def over_by_chance(first: Drift) -> float:
    """Chance that the alarms on the unused part are more than promised, if each dialogue has one reply."""
    most = math.floor(first.promise.rate * first.n + 1e-9)
    return float(stats.betabinom.sf(most, first.n, *first.promise.spread))


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that this bench shares with the homeostat's."""
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--dialogues", type=int, default=160)
    parser.add_argument("--keep", type=Path, help="the neutral replies' scores, taken from there if there")


def opened(
    options: argparse.Namespace,
) -> tuple[TransformersEngine, dict[str, Groups], dict[str, Groups]]:
    """The engine, and the scores and means of its neutral replies."""
    model = load(options.model)
    vectors = load_vectors(options.vectors or shelf(model.identity.name))
    engine = TransformersEngine(model, vectors)
    if options.keep is not None and options.keep.exists():
        scores, means = json.loads(options.keep.read_text(encoding="utf-8"))
        return engine, scores, means
    scores, means = neutral_replies(engine, options.dialogues, Sampling(options.tokens))
    if options.keep is not None:
        options.keep.write_text(json.dumps([scores, means]), encoding="utf-8")
    return engine, scores, means


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--share", type=float, default=2 / 3, help="of the dialogues that calibrate")
    parser.add_argument("--confidence", type=float, help="of a promise about the calibration made")
    options = parser.parse_args()
    engine, scores, _ = opened(options)
    assert engine.vectors is not None
    result = {
        "model": options.model,
        "layer": engine.vectors.read_layer,
        "tokens": options.tokens,
        "calibration": [
            row
            for confidence in dict.fromkeys((None, options.confidence))
            for row in promises(scores, options.share, options.splits, 0, confidence)
        ],
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
