"""`affekt read` with a warm cache against `python -c` that imports transformers and loads the same model.

    python bench/reading.py [--model smollm2-135m-instruct] [--pairs 7]

The vectors must be there (`affekt extract`). Prints JSON with the ratio of wall-clock times, median over
pairs."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from affekt.models.weights import resolve

LOAD = """
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
AutoTokenizer.from_pretrained({folder!r})
AutoModelForCausalLM.from_pretrained({folder!r}, dtype=torch.bfloat16)
"""


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    plain = [sys.executable, "-c", LOAD.format(folder=str(resolve(options.model).folder))]
    read = [
        sys.executable,
        "-m",
        "affekt",
        "read",
        options.model,
        "--text",
        "The notice said Friday.",
        "--json",
    ]
    seconds(plain), seconds(read)
    pairs = [(seconds(plain), seconds(read)) for _ in range(options.pairs)]
    print(
        json.dumps(
            {
                "model": options.model,
                "load_seconds": round(statistics.median(a for a, _ in pairs), 2),
                "read_seconds": round(statistics.median(b for _, b in pairs), 2),
                "ratio_median": round(statistics.median(b / a for a, b in pairs), 2),
                "pairs": options.pairs,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
