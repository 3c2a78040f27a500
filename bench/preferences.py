"""Forced choices against one forward pass a pair: pairs per second, and whether the logits agree.

    python bench/preferences.py [--model smollm2-135m-instruct] [--first 4] [--plain 24] [--pairs 3]

Ours compares `--first` of the 64 activities with the 63 others, as the study does with all 4,032 ordered
pairs; the plain loop runs `--plain` of the same prompts, one a forward, with the last token's logits only.
Both in turn, `--pairs` times; the ratios are medians over turns, by the clock and by processor time (which
other work on the machine disturbs less). Prints JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import torch

import affekt
from affekt.concepts.shipped import activities
from affekt.models.prompt import Encoded
from affekt.studies.choosing.choices import letters, question
from affekt.studies.lab import Lab

Rates = tuple[float, float]
"""Pairs per second by the clock, and by processor time."""


def rates(n: int, clock: float, processor: float) -> Rates:
    """Of `n` pairs since two times."""
    return n / (time.perf_counter() - clock), n / (time.process_time() - processor)


def plain(network, prompts: list[Encoded], ids: list[int]) -> tuple[np.ndarray, Rates]:
    """Log-odds of A over B, and how fast."""
    clock, processor = time.perf_counter(), time.process_time()
    odds = []
    with torch.inference_mode():
        for prompt in prompts:
            logits = network(torch.tensor([prompt.ids]), logits_to_keep=1).logits[0, -1].float()
            odds.append(float(logits[ids[0]] - logits[ids[1]]))
    return np.array(odds), rates(len(prompts), clock, processor)


def ours(engine, prompts: list[Encoded], ids: list[int]) -> tuple[np.ndarray, Rates]:
    """The same by `next_token`."""
    clock, processor = time.perf_counter(), time.process_time()
    found = engine.next_token(prompts, ids=ids)
    return found[:, 0] - found[:, 1], rates(len(prompts), clock, processor)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--first", type=int, default=4)
    parser.add_argument("--plain", type=int, default=24)
    parser.add_argument("--pairs", type=int, default=3)
    args = parser.parse_args()
    model = affekt.load(args.model)
    engine = affekt.TransformersEngine(model)
    lab = Lab(model, None)  # type: ignore[arg-type]
    texts = [activity.text for activity in activities()]
    prompts = [
        question(lab, texts[i], texts[j]) for i in range(args.first) for j in range(len(texts)) if i != j
    ]
    some = np.linspace(0, len(prompts) - 1, args.plain).astype(int)
    ids = letters(lab)
    turns = []
    for _ in range(args.pairs):
        theirs, slow = plain(model.network, [prompts[k] for k in some], ids)
        own, fast = ours(engine, prompts, ids)
        turns.append([one / other for one, other in zip(fast, slow, strict=True)])
    print(
        json.dumps(
            {
                "ratio by processor time": round(statistics.median(turn[1] for turn in turns), 2),
                "ratio by the clock": round(statistics.median(turn[0] for turn in turns), 2),
                "turns, clock and processor": [[round(x, 2) for x in turn] for turn in turns],
                "prompts": len(prompts),
                "largest difference of log-odds": float(np.abs(own[some] - theirs).max()),
                "spread of log-odds": float(theirs.std()),
                "dtype": model.identity.dtype,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
