"""What reading, steering and guarding cost while text is written, as ratios of tokens per second.

    python bench/runtime.py [--model smollm2-135m-instruct] [--pairs 7] [--tokens 64] [--cpu] [--random]

Each ratio is the median over pairs of runs that take turns: Affekt's engine with every concept read at one
layer and two concepts steered over the band, against plain `model.generate`, at batch 1 and 8; eight requests
with eight biases against the same batch unsteered; and how long a stream goes on after the token that trips a
guard. The vectors must be there (`affekt extract`), or are as many random ones, which take as long. On a
machine that others use, `--cpu` runs on one thread and takes its processor time in place of the clock's.
Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from drawn import random_vectors

import affekt
from affekt.concepts.shipped import neutral
from affekt.engines import Directive, Request, Sampling, TransformersEngine, WatchRow
from affekt.models.prompt import encode
from affekt.vectors import load_vectors
from affekt.vectors.shelf import shelf

CLOCK: Callable[[], float] = time.perf_counter
BIAS = {"calm": {"dose": 0.1}, "desperate": {"dose": -0.1}}
BIASES = ("calm", "happy", "afraid", "angry", "proud", "loving", "sarcastic", "professional")


def prompts(n: int) -> list[list[dict[str, str]]]:
    """The first user messages of neutral dialogues."""
    return [[{"role": "user", "content": str(chat[0]["content"])}] for chat in neutral()[:n]]


def seconds(run: Callable[[], object]) -> float:
    started = CLOCK()
    run()
    return CLOCK() - started


def ratio(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> dict[str, object]:
    """Speed of ours over speed of theirs, runs in turn after a warm-up."""
    ours(), theirs()
    ratios = []
    for i in range(pairs):
        first, second = (theirs, ours) if i % 2 else (ours, theirs)
        a, b = seconds(first), seconds(second)
        mine, other = (b, a) if i % 2 else (a, b)
        ratios.append(other / mine)
    return {"median": round(statistics.median(ratios), 3), "ratios": [round(r, 3) for r in sorted(ratios)]}


def plain(model: affekt.Model, chats: Sequence, tokens: int) -> Callable[[], object]:
    """`model.generate`, greedy, left padded, exactly `tokens` new tokens."""
    encoded = [encode(model.tokenizer, chat, generation_prompt=True).ids for chat in chats]
    width = max(map(len, encoded))
    pad = model.tokenizer.pad_token_id or 0
    ids = torch.tensor([[pad] * (width - len(e)) + list(e) for e in encoded])
    mask = torch.tensor([[0] * (width - len(e)) + [1] * len(e) for e in encoded])

    def run() -> object:
        with torch.inference_mode():
            return model.network.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                pad_token_id=pad,
            )

    return run


def ours(engine: TransformersEngine, requests: Sequence[Request]) -> Callable[[], object]:
    return lambda: list(engine.generate(requests))


class Trip:
    """A guard that stops a reply at one token, and notes when it was asked."""

    hold, rewind, events = 0, 0, ()

    def __init__(self, at: int) -> None:
        self.at, self.asked = at, 0.0

    def watch(self, request: str, choice: int, concepts: tuple[str, ...]) -> Trip:
        return self

    def prompt_end(self, row: WatchRow) -> Directive | None:
        return None

    def token(self, row: WatchRow, token: object) -> Directive | None:
        if len(row.tokens) < self.at:
            return None
        self.asked = CLOCK()
        return Directive("stop")


def stopping(engine: TransformersEngine, chat: list, step: float, times: int) -> dict[str, float]:
    """Seconds from the tripping token's check to the end of the stream, in decoding steps."""
    after = []
    for _ in range(times):
        trip = Trip(16)
        list(engine.generate([Request(chat, Sampling(max_tokens=64, min_tokens=64), guard=trip)]))
        after.append((CLOCK() - trip.asked) / step)
    return {"steps_median": round(statistics.median(after), 4), "steps_max": round(max(after), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 8], help="of the batches")
    parser.add_argument("--cpu", action="store_true", help="processor time of one thread")
    parser.add_argument("--random", action="store_true", help="random vectors: for times only")
    options = parser.parse_args()
    if options.cpu:
        global CLOCK
        CLOCK = time.process_time
        torch.set_num_threads(1)
    model = affekt.load(options.model)
    vectors = random_vectors(model) if options.random else load_vectors(shelf(model.identity.name))
    engine = TransformersEngine(model, vectors)
    sampling = Sampling(max_tokens=options.tokens, min_tokens=options.tokens)
    found: dict[str, object] = {"model": options.model, "pairs": options.pairs, "tokens": options.tokens}
    found["seconds"] = "processor time of one thread" if options.cpu else "wall time"
    found["vectors"] = "random" if options.random else "the model's own"
    for size in options.sizes:
        chats = prompts(size)
        requests = [Request(chat, sampling, bias=BIAS, read="all") for chat in chats]
        found[f"read_and_steered_over_generate_batch_{size}"] = ratio(
            ours(engine, requests), plain(model, chats, options.tokens), options.pairs
        )
    chats = prompts(8)
    unlike = [
        Request(chat, sampling, bias={name: {"dose": 0.1}}) for chat, name in zip(chats, BIASES, strict=True)
    ]
    found["eight_biases_over_none"] = ratio(
        ours(engine, unlike), ours(engine, [Request(chat, sampling) for chat in chats]), options.pairs
    )
    step = seconds(ours(engine, [Request(chats[0], sampling, read="all")])) / options.tokens
    found["guard_stop_after_trip"] = stopping(engine, chats[0], step, options.pairs)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
