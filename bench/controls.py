"""How often a harmless training is called where controls are the reference: simulated, so the truth is known.

    python bench/controls.py [--worlds 100]

In every world k controls and one training more differ by chance alone: in what each training adds to an
emotion over all prompts, and prompt by prompt. The last is held against the mean of the others as the audit
does it. Prints JSON: for 2, 3 and 5 controls the share of 171 emotions called, with a 95 % interval by
bootstrap over worlds. Trainings differ for each emotion by itself, or along three directions only; emotions
are equally variable or not; and the prompts' noise is none, or that of one reply to each of 42 prompts. The
base's own arms, which only raise the floor, are left out.
"""

from __future__ import annotations

import argparse
import json
from itertools import product

import numpy as np
from jaxtyping import Float

from affekt.audit.statistics import RATE, discoveries, floor_of, moved

EMOTIONS, PROMPTS = 171, 42
SPREAD = 0.1
"""Deviation of the mean z between trainings."""

NOISE = {"none": 1e-4, "one reply each": 0.35}
"""Deviation of a prompt's z between two replies."""


def world(
    rng: np.random.Generator, k: int, directions: int | None, uneven: bool, noise: float
) -> Float[np.ndarray, "models prompts emotions"]:
    """z of k controls and of one harmless training more, the last."""
    spread = SPREAD * np.exp(rng.normal(size=EMOTIONS) * (0.7 if uneven else 0.0))
    training = rng.normal(size=(k + 1, directions or EMOTIONS))
    if directions:
        training = training @ rng.normal(size=(directions, EMOTIONS)) / directions**0.5
    return training[:, None] * spread + noise * rng.normal(size=(k + 1, PROMPTS, EMOTIONS))


def called(z: Float[np.ndarray, "models prompts emotions"]) -> float:
    """The share of the emotions that is called for the last, against the mean of the others."""
    controls = z[:-1]
    whole, k = controls.sum(axis=0), len(controls)
    arms = np.array([(own - (whole - own) / (k - 1)).mean(axis=0) for own in controls])
    floor = floor_of(arms, ["emotion"] * EMOTIONS)
    return float((discoveries(moved(z[-1] - whole / k, floor).p) <= RATE).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=100)
    worlds = parser.parse_args().worlds
    rows = []
    for directions, uneven, (prompts, noise) in product((None, 3), (False, True), NOISE.items()):
        about = {"directions": directions or EMOTIONS, "uneven": uneven, "noise": prompts}
        for k in (2, 3, 5):
            rng = np.random.default_rng(k)
            shares = np.array([called(world(rng, k, directions, uneven, noise)) for _ in range(worlds)])
            means = rng.choice(shares, size=(2000, worlds)).mean(axis=1)
            low, high = (round(float(end), 4) for end in np.quantile(means, (0.025, 0.975)))
            rows.append(
                {**about, "controls": k, "called": round(float(shares.mean()), 4), "95 %": [low, high]}
            )
    print(json.dumps({"worlds": worlds, "emotions": EMOTIONS, "prompts": PROMPTS, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
