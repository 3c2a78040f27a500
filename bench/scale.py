"""Two workers on a corpus against one: is the result the same, and how does the time go?

    python bench/scale.py [--model smollm2-135m-instruct] [--texts 64] [--pairs 3]

The vectors must be there (`affekt extract`). Every worker has one thread (set before torch is imported), so
that two have twice what one has. One worker and two run on Ray one after the other, in turns; `whole` is the
command from start to end, with Ray's start and the opening of the models in it, `reading` from the first part
written to the last. The files of all runs are compared byte by byte, with those of a run in one process
without Ray too. Prints JSON."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import affekt
from affekt.concepts.shipped import stories
from affekt.models.weights import resolve
from affekt.scoring import Columns, Settings, score_corpus
from affekt.vectors.shelf import shelf


def corpus(file: Path, count: int) -> None:
    """Every so-many-th of the shipped texts, so that there are long and short ones."""
    whole = tuple(stories())
    texts = whole[:: max(1, len(whole) // count)][:count]
    lines = [json.dumps({"id": f"t{i}", "text": text.body}) for i, text in enumerate(texts)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def timed(
    source: Path, out: Path, settings: Settings, vectors: affekt.ConceptVectors, workers: int, on_ray: bool
) -> dict[str, float]:
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    written: list[tuple[float, int]] = []

    def told(stage: str, done: int, _total: int) -> None:
        if stage == "reading" and done:
            written.append((time.perf_counter(), done))

    scores = score_corpus(
        source,
        out,
        settings,
        vectors,
        workers=workers,
        cluster="local" if on_ray else None,
        progress=told,
    )
    (first, before), (last, after) = written[0], written[-1]
    return {
        "whole": time.perf_counter() - started,
        "reading": (last - first) / (after - before),
        "tokens": scores.tally.spread.tokens,
    }


def files(folder: Path) -> dict[str, bytes]:
    """All results but the page, in which plotly draws lots for a name."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != "index.html"
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    vectors = affekt.ConceptVectors.load(shelf(resolve(options.model).name))
    settings = Settings(options.model, columns=Columns("text", "id"), per_token=True, part=8)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        source = root / "in.jsonl"
        corpus(source, options.texts)
        alone = timed(source, root / "alone", settings, vectors, 1, on_ray=False)
        expected = files(root / "alone")
        runs, same = [], True
        for pair in range(options.pairs):
            order = (1, 2) if pair % 2 == 0 else (2, 1)
            found = {n: timed(source, root / f"{n}", settings, vectors, n, on_ray=True) for n in order}
            same = same and all(files(root / f"{n}") == expected for n in order)
            runs.append(found)
        ratios = {
            kind: [round(found[1][kind] / found[2][kind], 3) for found in runs]
            for kind in ("whole", "reading")
        }
        print(
            json.dumps(
                {
                    "model": options.model,
                    "texts": options.texts,
                    "tokens": int(alone["tokens"]),
                    "files": len(expected),
                    "every_file_the_same_to_the_byte": same,
                    "one_over_two_workers_seconds": {
                        kind: {"median": statistics.median(values), "each": values}
                        for kind, values in ratios.items()
                    },
                    "seconds_whole_median": {
                        str(n): round(statistics.median(found[n]["whole"] for found in runs), 1)
                        for n in (1, 2)
                    }
                    | {"1 without Ray": round(alone["whole"], 1)},
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
