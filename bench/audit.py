"""How long the audit of a model takes, from nothing kept.

    python bench/audit.py [--model qwen2.5-coder-0.5b-instruct] [--tuned NAME] [--floor]

Compares two models on the whole battery at every place; the second is the first at 4 bits unless named. With
`--floor` the base is measured against itself as well, as `affekt compare` does the first time. Where the
model has no vectors yet, random ones of its shape stand in: they cost the same, and no reading is shown.
Prints JSON with seconds of wall and of processor time, opening included.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from drawn import random_vectors

from affekt.audit import compare, shipped_prompts
from affekt.audit.measure import Writing
from affekt.cli.auditing import opener
from affekt.models import load
from affekt.progress import progress_bar
from affekt.vectors import load_vectors
from affekt.vectors.shelf import shelf


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="qwen2.5-coder-0.5b-instruct")
    parser.add_argument("--tuned")
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--reply-tokens", type=int, default=32)
    parser.add_argument("--every", type=int, default=1, help="ask every n-th prompt of the battery only")
    asked = parser.parse_args()
    kept: Path = shelf(asked.model)
    model = load(asked.model)
    vectors = load_vectors(kept) if kept.exists() else random_vectors(model)
    about = {"model": asked.model, "dtype": model.identity.dtype, "threads": torch.get_num_threads()}
    del model
    started, worked = time.perf_counter(), time.process_time()
    with progress_bar("prompts") as progress:
        [one] = compare(
            opener(vectors, "auto"),
            asked.model,
            [asked.tuned or f"{asked.model}@int4"],
            vectors,
            shipped_prompts()[:: asked.every],
            writing=Writing(tokens=asked.reply_tokens),
            floor=asked.floor,
            progress=progress,
        )
    about |= {"tuned": one.tuned, "vectors": "own" if kept.exists() else "random", "floor": asked.floor}
    about |= {"prompts": int(one.n.max()), "views": one.views}
    about |= {"seconds": round(time.perf_counter() - started, 1)}
    about |= {"processor_seconds": round(time.process_time() - worked, 1)}
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
