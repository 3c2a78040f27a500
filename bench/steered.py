"""Steering the same comparisons in several directions at once against one direction after the other.

    python bench/steered.py [--model smollm2-135m-instruct] [--directions 10] [--activities 6] [--pairs 3]

As study 8 does with half of the 64 activities: one of two activities is steered on its words. Both ways in
turn, `--pairs` times; ratios of processor time, medians over turns. The first turn of each way warms up and
is not counted. Prints JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np

import affekt
from affekt.concepts.shipped import activities
from affekt.quality.controls import with_random
from affekt.studies.choosing.choices import compared_under
from affekt.studies.choosing.halves import DOSE, matches
from affekt.studies.lab import Lab
from affekt.vectors import load_vectors
from affekt.vectors.shelf import shelf


def timed(run: Callable[[], list[np.ndarray]]) -> tuple[np.ndarray, float]:
    """The log odds, and the processor time that they took."""
    begun = time.process_time()
    odds = np.array(run())
    return odds, time.process_time() - begun


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--directions", type=int, default=10)
    parser.add_argument("--activities", type=int, default=6)
    parser.add_argument("--pairs", type=int, default=3)
    args = parser.parse_args()
    model = affekt.load(args.model)
    held, names = with_random(load_vectors(shelf(model.identity.name)), args.directions, 0)
    lab = Lab(model, held)
    engine = lab.engine()
    texts = [activity.text for activity in activities()][: args.activities]
    half, _, played = matches(len(texts), 2)
    biases = [{int(item): {name: {"dose": DOSE}} for item in half} for name in names]

    def one_by_one() -> list[np.ndarray]:
        return [odds for bias in biases for odds in compared_under(lab, engine, texts, played, [bias], "")]

    def at_once() -> list[np.ndarray]:
        return compared_under(lab, engine, texts, played, biases, "")

    ratios, farthest = [], 0.0
    for turn in range(args.pairs + 1):
        (one, slow), (other, fast) = timed(one_by_one), timed(at_once)
        farthest = max(farthest, float(np.abs(one - other).max()))
        if turn:
            ratios.append(slow / fast)
    print(
        json.dumps(
            {
                "ratio by processor time": round(statistics.median(ratios), 2),
                "turns": [round(ratio, 2) for ratio in ratios],
                "comparisons": int(played.sum()) * len(biases),
                "largest difference of log-odds": farthest,
                "spread of log-odds": float(other[:, played].std()),
                "dtype": model.identity.dtype,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
