"""The vLLM engine against plain vLLM and against the transformers engine, on one machine.

    python bench/vllm.py [--model smollm2-135m-instruct] [--dtype auto] [--clients 16] [--tokens 64]
                         [--pairs 7] [--speed [full idle unread transformers]] [--agreement] [--extraction]

Runs in an environment with vLLM (`make test-vllm` makes one), with the vectors of `affekt extract`; where
there are none, random directions stand in, which cost the same and are read by both engines alike.
Ratios are of neighbouring runs, in turns. Each figure is a line of JSON as soon as it is there, with the
median, the lowest and the highest; each pair is told on stderr. A prompt is never asked twice, so no run
profits from the prefix cache of another."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn import random_vectors

from affekt.concepts.concept import emotions
from affekt.concepts.shipped import stories
from affekt.engines import Reply, Request, Sampling, TransformersEngine
from affekt.engines.vllm import VLLMEngine
from affekt.engines.vllm.opening import CPU_CACHE, environment
from affekt.models import load
from affekt.models.prompt import encode
from affekt.vectors import ConceptVectors, load_vectors
from affekt.vectors.cells import layout
from affekt.vectors.collect import from_token
from affekt.vectors.directions import balanced
from affekt.vectors.gather import gather_corpus
from affekt.vectors.shelf import shelf

HERE = str(Path(__file__).resolve().parent)
# Last, else `import vllm` would find this file; not gone, since vLLM's processes run it again.
sys.path[:] = [*(place for place in sys.path if place != HERE), HERE]

TOPICS = (
    *(
        "a lost key",
        "a letter from home",
        "the last train",
        "an exam tomorrow",
        "a broken cup",
        "the first snow",
    ),
    *("a closed shop", "an old friend", "a loud party", "a wrong number", "the harbour", "a new neighbour"),
    *("a long illness", "the garden", "a stolen bicycle", "the night shift"),
)


SHARE: dict[str, Any] = {"gpu_memory_utilization": 0.4} if torch.cuda.is_available() else {}
"""Of a GPU's memory: both vLLMs are open at once, and the transformers engine beside them."""


def chats() -> Iterator[Any]:
    """Different prompts, as many as are taken."""
    for part in count(1):
        for topic in TOPICS:
            yield [{"role": "user", "content": f"Tell me part {part} of a story about {topic}."}]


def drawn(model: Any, theirs: TransformersEngine) -> ConceptVectors:
    """Random directions, with the norms of the model's own residual."""
    vectors = random_vectors(model)
    texts = [text.body for text in islice(stories(), 8)]
    read = theirs.collect(texts, vectors.layers, lambda encoded: range(1, len(encoded)), False)
    norms = torch.stack([one.values.norm(dim=-1).mean(1) for one in read]).mean(0)
    return replace(vectors, norms=norms)


def plain_engine(folder: str, context: int, rows: int, dtype: str) -> Any:
    """vLLM as it comes, with the flags that the engine uses."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.llm_engine import LLMEngine

    more: dict[str, Any] = {"kv_cache_memory_bytes": CPU_CACHE} if current_platform.is_cpu() else SHARE
    with environment(in_process=False):
        return LLMEngine.from_engine_args(
            EngineArgs(
                model=folder, dtype=dtype, max_model_len=context + 1, max_num_seqs=rows, enforce_eager=True,
                generation_config="vllm", disable_log_stats=True, max_logprobs=-1, **more,
            )
        )  # fmt: skip


def plain_run(engine: Any, prompts: list[tuple[int, ...]], tokens: int) -> float:
    """Tokens per second of vLLM without Affekt's orders; like Affekt's replies, these have a text."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    begun, written = time.perf_counter(), 0
    for k, ids in enumerate(prompts):
        params = SamplingParams(
            temperature=0.0, max_tokens=tokens, min_tokens=tokens, ignore_eos=True,
            output_kind=RequestOutputKind.DELTA,
        )  # fmt: skip
        engine.add_request(f"{begun}-{k}", {"prompt_token_ids": list(ids)}, params)
    while engine.has_unfinished_requests():
        written += sum(len(output.outputs[0].token_ids) for output in engine.step())
    return written / (time.perf_counter() - begun)


def affekt_run(engine: Any, requests: list[Request]) -> float:
    """Tokens per second of an engine behind the protocol."""
    begun = time.perf_counter()
    replies = [piece for piece in engine.generate(requests) if isinstance(piece, Reply)]
    return sum(len(reply.tokens) for reply in replies) / (time.perf_counter() - begun)


def paired(figure: str, one: Callable[[], float], other: Callable[[], float], pairs: int) -> dict[str, Any]:
    """Ratio of `one` to `other`, in turns."""
    one(), other()
    ratios, rates = [], []
    for k in range(pairs):
        both = (one(), other()) if k % 2 else (other(), one())[::-1]
        ratios.append(both[0] / both[1])
        rates.append(both)
        print(f"{figure} {k + 1}/{pairs}: {ratios[-1]:.3f}", file=sys.stderr, flush=True)
    return {
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_range": [round(min(ratios), 4), round(max(ratios), 4)],
        "tokens_per_second": [round(statistics.median(rate[k] for rate in rates), 1) for k in (0, 1)],
        "pairs": pairs,
    }


def agreement(
    mine: VLLMEngine, theirs: TransformersEngine, vectors: ConceptVectors, tokens: int
) -> dict[str, Any]:
    """The same chats read by both, and greedy replies compared up to the first that differs."""
    requests = [Request(chat, Sampling(max_tokens=tokens)) for chat in islice(chats(), 16)]
    one, other = ([p for p in engine.generate(requests) if isinstance(p, Reply)] for engine in (mine, theirs))
    one, other = (sorted(found, key=lambda reply: int(reply.request)) for found in (one, other))
    read = [engine.read([reply.whole for reply in other]) for engine in (mine, theirs)]
    a, b = (np.concatenate([reading.z[1:] for reading in found]) for found in read)
    gaps = []
    for x, y in zip(one, other, strict=True):
        at = next((k for k, (i, j) in enumerate(zip(x.tokens, y.tokens, strict=False)) if i != j), None)
        if at is not None:
            whole = y.whole
            start = y.prompt_tokens + at
            cut = type(whole)(whole.ids[:start], whole.spans[:start], whole.roles[:start], whole.text)
            best = np.sort(theirs.next_token([cut])[0])[-2:]
            gaps.append(round(float(best[1] - best[0]), 5))
    return {
        "tokens_read": len(a),
        "concepts": a.shape[1],
        "pearson_all": float(np.corrcoef(a.ravel(), b.ravel())[0, 1]),
        "pearson_least_of_a_concept": float(
            min(np.corrcoef(a[:, c], b[:, c])[0, 1] for c in range(a.shape[1]))
        ),
        "largest_difference_z": float(np.abs(a - b).max()),
        "replies": len(one),
        "greedy_equal": sum(x.tokens == y.tokens for x, y in zip(one, other, strict=True)),
        "nats_between_the_two_best_where_they_part": gaps,
        "dtype": [mine.model.identity.dtype, theirs.model.identity.dtype],
        "first_tokens_left_out": "the attention sink's z, in the hundreds, would carry the correlation",
        "vectors": vectors.provenance.model.name,
    }


def extraction(mine: VLLMEngine, theirs: TransformersEngine, layers: list[int]) -> dict[str, Any]:
    """Raw vectors of a small corpus by both engines: the least cosine."""
    whole = stories()
    corpus = whole.only(topic=whole.topics[:2], concept=[c.name for c in whole.concepts[:24]])
    found = []
    for engine in (mine, theirs):
        cells, _ = gather_corpus(
            engine.collect, corpus, layout(corpus), layers, engine.model.identity.d_model, from_token(50)
        )
        found.append(torch.stack([balanced(cells.means(at))[0] for at in range(len(layers))], 1))
    cosine = torch.nn.functional.cosine_similarity(*found, dim=-1)
    return {"texts": len(corpus), "vectors": cosine.numel(), "least_cosine": float(cosine.min())}


SPEEDS = ("full", "idle", "unread", "transformers")
"""All read and a bias each, over plain vLLM; plain requests to the instrumented vLLM, over plain vLLM; our
requests that ask for nothing, over plain vLLM; all read and a bias each, over the transformers engine."""


def speed(
    options: Any, mine: VLLMEngine, theirs: TransformersEngine, vectors: ConceptVectors
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ratios of speed that are asked for, one by one."""
    known = [concept.name for concept in emotions() if concept.name in vectors.names]
    length, source = Sampling(max_tokens=options.tokens, min_tokens=options.tokens), chats()

    def plain(engine: Any) -> float:
        asked = [encode(mine.model.tokenizer, chat, True).ids for chat in islice(source, options.clients)]
        return plain_run(engine, asked, options.tokens)

    def engine(own: Any, full: bool) -> float:
        return affekt_run(
            own,
            [
                Request(chat, length, bias={known[(7 * k) % len(known)]: {"dose": 0.05}}, read=tuple(known))
                if full
                else Request(chat, length)
                for k, chat in enumerate(islice(source, options.clients))
            ],
        )

    beside = None
    if set(options.speed) - {"transformers"}:
        served = mine.model
        beside = plain_engine(str(served.folder), served.context, options.clients, served.identity.dtype)
    runs = {
        "full": (lambda: engine(mine, True), lambda: plain(beside)),
        "idle": (lambda: plain(mine._driver._engine), lambda: plain(beside)),
        "unread": (lambda: engine(mine, False), lambda: plain(beside)),
        "transformers": (lambda: engine(mine, True), lambda: engine(theirs, True)),
    }
    for figure in options.speed:
        yield figure, paired(figure, *runs[figure], options.pairs) | {"concepts_read": len(known)}
    if beside is not None:
        beside.engine_core.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--agreement", action="store_true")
    parser.add_argument("--extraction", action="store_true")
    parser.add_argument("--speed", nargs="*", choices=SPEEDS)
    options = parser.parse_args()
    if options.speed == []:
        options.speed = list(SPEEDS)
    model = load(options.model, dtype=options.dtype)
    kept = shelf(model.identity.name)
    vectors = load_vectors(kept) if kept.exists() else drawn(model, TransformersEngine(model))
    mine = VLLMEngine(
        options.model, vectors, dtype=options.dtype, batch_size=options.clients, context=2048, **SHARE
    )
    theirs = TransformersEngine(model, vectors, batch_size=options.clients)
    told = {
        "model": options.model, "dtype": model.identity.dtype, "clients": options.clients,
        "tokens": options.tokens, "vectors": "extracted" if kept.exists() else "random",
    }  # fmt: skip
    try:
        if options.agreement:
            print(
                json.dumps(told | {"agreement": agreement(mine, theirs, vectors, options.tokens)}), flush=True
            )
        if options.extraction:
            found = extraction(mine, theirs, [vectors.read_layer])
            print(json.dumps(told | {"extraction": found}), flush=True)
        for figure, ratio in speed(options, mine, theirs, vectors) if options.speed else ():
            print(json.dumps(told | {figure: ratio}), flush=True)
    finally:
        mine.close()


if __name__ == "__main__":
    main()
