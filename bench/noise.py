"""How far a model's readings move when nothing was trained: the audit's noise floor, arm by arm.

    python bench/noise.py [--model smollm2-135m-instruct] [--prompts own.jsonl] [--reply-tokens 32]

The base against itself on the shipped battery, or on a shorter file of prompts: under another sampling seed,
in other words, in another dtype, re-quantised to 8 bits, and to 4. For a model of the package index, whose
weights come from a 4-bit GGUF, the 8-bit arm is that file's own weights quantised once more. The vectors must
be there (`affekt extract`). Prints JSON: for each arm and place the root mean square over the emotions of the
mean shift, in z, with a 95 % interval by bootstrap over prompts; its largest emotion; and how many emotions a
test without a floor would have called.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from affekt.audit import load_prompts, shipped_prompts
from affekt.audit.floor import Arm, noise_arms
from affekt.audit.keep import Keep
from affekt.audit.measure import VIEWS, Writing
from affekt.audit.quantities import quantities
from affekt.audit.setup import Setup, views_of
from affekt.audit.statistics import RATE, RESAMPLES, discoveries, moved
from affekt.cli.auditing import opener
from affekt.cli.session import vectors_for
from affekt.models.cache import cache_folder
from affekt.progress import progress_bar

PRECISIONS = ("float32", "bfloat16", "int8", "int4")


def size(rows: Float[np.ndarray, "prompts emotions"]) -> dict[str, object]:
    """Root mean square of the mean shift, with its interval. Means of few prompts are never 0, so the
    interval lies about what noise of that size gives, not about 0."""
    drawn = np.random.default_rng(0).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), RESAMPLES)
    spread = np.sqrt(((drawn @ rows / len(rows)) ** 2).mean(axis=1))
    low, high = np.quantile(spread, (0.025, 0.975))
    value = np.sqrt((rows.mean(axis=0) ** 2).mean())
    return {"rms": round(float(value), 3), "interval": [round(float(low), 3), round(float(high), 3)]}


def about(
    arm: Arm, view: str, names: list[str], emotions: Bool[np.ndarray, " quantities"]
) -> dict[str, object]:
    """One arm at one place."""
    rows = arm.differences[view][:, emotions]
    rows = rows[np.isfinite(rows).all(axis=1)]
    mean = rows.mean(axis=0)
    most = int(np.abs(mean).argmax())
    called = int((discoveries(moved(rows, np.zeros(len(mean))).p) <= RATE).sum())
    return {
        "n": len(rows),
        **size(rows),
        "largest": f"{names[most]} {mean[most]:+.2f}",
        "called_without_a_floor": f"{called} of {len(mean)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--reply-tokens", type=int, default=32)
    asked = parser.parse_args()
    vectors = vectors_for(asked.model, None)
    open = opener(vectors, "auto")
    subject = open(asked.model)
    columns = quantities(vectors.concepts)
    emotions = np.array([column.kind == "emotion" for column in columns])
    names = [column.name for column in columns if column.kind == "emotion"]
    with progress_bar("prompts") as progress:
        setup = Setup(
            load_prompts(asked.prompts) if asked.prompts else shipped_prompts(),
            vectors,
            views_of((), subject.has_template, asked.model),
            "chat" if subject.has_template else "plain",
            Writing(tokens=asked.reply_tokens),
            Keep(cache_folder() / "audit"),
            progress,
        )
        seen = setup.look(subject)
        arms = noise_arms(asked.model, subject, open, setup, seen, PRECISIONS)
    report = {
        "model": asked.model,
        "dtype": subject.identity.dtype,
        "places": dict(VIEWS),
        "arms": {
            arm.name: {view: about(arm, view, names, emotions) for view in arm.differences} for arm in arms
        },
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
