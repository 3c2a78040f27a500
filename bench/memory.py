"""Peak memory of an extraction, over a corpus and over one ten times as large.

    python bench/memory.py [--model smollm2-135m-instruct] [--texts 290] [--layer 3]

Each size is a file that a process of its own opens; the peak is that of the pass from the opened model to the
moments of the concepts, the opening itself, which takes more for a moment, apart. The growth from the small
corpus to the large one has in it what the texts themselves take. One early layer is enough: what is kept does
not depend on how deep the forwards go. Needs Linux. Prints JSON."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import affekt
from affekt.concepts import Corpus
from affekt.concepts.shipped import stories
from affekt.vectors.cells import layout
from affekt.vectors.collect import from_token
from affekt.vectors.gather import gather_corpus


def write(texts: int, folder: Path) -> Path:
    """A corpus of so many of the shipped stories."""
    whole = tuple(stories())
    # Every so-many-th text, so that both sizes have long and short ones of every form.
    some = whole[:: max(1, len(whole) // texts)][:texts]
    file = folder / f"{texts}.jsonl"
    file.write_text("".join(json.dumps(text.record()) + "\n" for text in some))
    return file


def peak(name: str, file: Path, layer: int) -> dict[str, float]:
    """Peak resident memory of this process, in MiB, of the opening and of the pass."""
    model = affekt.load(name)
    corpus = Corpus.load(file)
    before = highest()
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark begins anew
    engine = affekt.TransformersEngine(model)
    gather_corpus(engine.collect, corpus, layout(corpus), [layer], model.identity.d_model, from_token(50))
    return {
        "texts": len(corpus),
        "opened_mib": round(before, 1),
        "peak_mib": round(highest(), 1),
    }


def highest() -> float:
    """The highest mark of resident memory, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--texts", type=int, default=290)
    parser.add_argument("--layer", type=int, default=3)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(peak(options.model, options.alone, options.layer)))
        return
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for texts in (options.texts, 10 * options.texts):
            file = write(texts, Path(folder))
            command = [sys.executable, __file__, "--alone", str(file), "--model", options.model]
            command += ["--layer", str(options.layer)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    growth = found[1]["peak_mib"] / found[0]["peak_mib"]
    print(json.dumps({"model": options.model, "runs": found, "growth": round(growth, 4)}, indent=2))


if __name__ == "__main__":
    main()
