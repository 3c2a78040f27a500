"""How long the audit of a model takes, from nothing kept.

    python bench/audit.py [--model qwen2.5-coder-0.5b-instruct] [--tuned NAME] [--floor]

Compares two models on the whole battery at every place; the second is the first at 4 bits unless named. With
`--floor` the base is measured against itself as well, as `affekt compare` does the first time. Where the
model has no vectors yet, random ones of its shape stand in: they cost the same, and no reading is shown.
Prints JSON with seconds, opening included.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from affekt.audit import compare, shipped_prompts
from affekt.audit.measure import Writing
from affekt.cli.auditing import opener
from affekt.cli.session import progress_bar
from affekt.concepts import emotions
from affekt.models import Model, load
from affekt.vectors import ConceptVectors, load_vectors
from affekt.vectors.provenance import Provenance
from affekt.vectors.shelf import shelf


def random_vectors(model: Model) -> ConceptVectors:
    """Of no meaning, at as many layers as an extraction keeps."""
    depth, width, concepts = model.identity.n_layers, model.identity.d_model, emotions()
    layers = tuple(range(depth // 3, int(0.7 * depth) + 1))
    raw = torch.randn(len(layers), len(concepts), width)
    return ConceptVectors(
        concepts=concepts,
        layers=layers,
        raw=raw,
        projected=raw,
        whitened=raw,
        weight=raw / raw.norm(dim=-1, keepdim=True),
        mean=torch.zeros(len(layers), 4, len(concepts)),
        std=torch.ones(len(layers), 4, len(concepts)),
        norms=torch.ones(len(layers)),
        doses=torch.full((len(concepts),), torch.nan),
        read_layer=layers[-1],
        steer_layers=layers,
        steer_variant="projected",
        provenance=Provenance(model.identity, {}, {}),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="qwen2.5-coder-0.5b-instruct")
    parser.add_argument("--tuned")
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--reply-tokens", type=int, default=32)
    asked = parser.parse_args()
    kept: Path = shelf(asked.model)
    model = load(asked.model)
    vectors = load_vectors(kept) if kept.exists() else random_vectors(model)
    about = {"model": asked.model, "dtype": model.identity.dtype, "threads": torch.get_num_threads()}
    del model
    started = time.perf_counter()
    with progress_bar("prompts") as progress:
        [one] = compare(
            opener(vectors, "auto"),
            asked.model,
            [asked.tuned or f"{asked.model}@int4"],
            vectors,
            shipped_prompts(),
            writing=Writing(tokens=asked.reply_tokens),
            floor=asked.floor,
            progress=progress,
        )
    about |= {"tuned": one.tuned, "vectors": "own" if kept.exists() else "random", "floor": asked.floor}
    about |= {"prompts": int(one.n.max()), "views": one.views}
    print(json.dumps({**about, "seconds": round(time.perf_counter() - started, 1)}, indent=2))


if __name__ == "__main__":
    main()
