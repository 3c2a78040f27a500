"""The vLLM engine against plain vLLM and against the transformers engine, on one machine.

    python bench/vllm.py [--model smollm2-135m-instruct] [--clients 16] [--tokens 64] [--pairs 5]
                         [--speed] [--agreement] [--extraction]

Runs in an environment with vLLM (`make test-vllm` makes one); vectors must be there (`affekt extract`).
Ratios are of neighbouring runs; prints JSON with the median, the lowest and the highest."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affekt.concepts.concept import emotions
from affekt.concepts.shipped import stories
from affekt.engines import Reply, Request, Sampling, TransformersEngine
from affekt.engines.vllm import VLLMEngine
from affekt.engines.vllm.opening import CPU_CACHE
from affekt.models import load
from affekt.models.prompt import encode
from affekt.vectors import ConceptVectors, load_vectors
from affekt.vectors.cells import layout
from affekt.vectors.collect import from_token
from affekt.vectors.directions import balanced
from affekt.vectors.gather import gather_corpus
from affekt.vectors.shelf import shelf

HERE = str(Path(__file__).resolve().parent)
sys.path[:] = [place for place in sys.path if place != HERE]  # else `import vllm` would find this file

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


def chats(clients: int) -> list[Any]:
    """As many different prompts."""
    said = [
        TOPICS[k % len(TOPICS)] + (f", part {k // len(TOPICS) + 1}" if k >= len(TOPICS) else "")
        for k in range(clients)
    ]
    return [[{"role": "user", "content": f"Tell me a story about {topic}."}] for topic in said]


def plain_engine(folder: str, context: int, rows: int, dtype: str) -> Any:
    """vLLM as it comes, with the flags that the engine uses."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.llm_engine import LLMEngine

    more = {"kv_cache_memory_bytes": CPU_CACHE} if current_platform.is_cpu() else {}
    return LLMEngine.from_engine_args(
        EngineArgs(
            model=folder, dtype=dtype, max_model_len=context + 1, max_num_seqs=rows, enforce_eager=True,
            generation_config="vllm", disable_log_stats=True, max_logprobs=-1, **more,
        )
    )  # fmt: skip


def plain_run(engine: Any, prompts: list[tuple[int, ...]], tokens: int) -> float:
    """Tokens per second of vLLM without Affekt's orders."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    begun, written = time.perf_counter(), 0
    for k, ids in enumerate(prompts):
        params = SamplingParams(
            temperature=0.0, max_tokens=tokens, min_tokens=tokens, ignore_eos=True, detokenize=False,
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


def paired(one: Callable[[], float], other: Callable[[], float], pairs: int) -> dict[str, Any]:
    """Ratio of `one` to `other`, in turns."""
    one(), other()
    ratios, rates = [], []
    for k in range(pairs):
        both = (one(), other()) if k % 2 else (other(), one())[::-1]
        ratios.append(both[0] / both[1])
        rates.append(both)
    return {
        "ratio_median": round(statistics.median(ratios), 4),
        "ratio_range": [round(min(ratios), 4), round(max(ratios), 4)],
        "tokens_per_second": [round(statistics.median(rate[k] for rate in rates), 1) for k in (0, 1)],
        "pairs": pairs,
    }


def agreement(mine: VLLMEngine, theirs: TransformersEngine, vectors: ConceptVectors) -> dict[str, Any]:
    """The same chats read by both, and greedy replies compared up to the first that differs."""
    prompts = chats(16)
    requests = [Request(chat, Sampling(max_tokens=64)) for chat in prompts]
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--agreement", action="store_true")
    parser.add_argument("--extraction", action="store_true")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    model = load(options.model, dtype=options.dtype)
    vectors = load_vectors(shelf(model.identity.name))
    mine = VLLMEngine(options.model, vectors, dtype=options.dtype, batch_size=options.clients, context=2048)
    theirs = TransformersEngine(model, vectors, batch_size=options.clients)
    told: dict[str, Any] = {"model": options.model, "dtype": model.identity.dtype, "clients": options.clients}
    if options.agreement:
        told["agreement"] = agreement(mine, theirs, vectors)
    if options.extraction:
        told["extraction"] = extraction(mine, theirs, [vectors.read_layer])
    if options.speed:
        told |= speed(options, mine, theirs, vectors)
    print(json.dumps(told, indent=2))
    mine.close()


def speed(
    options: Any, mine: VLLMEngine, theirs: TransformersEngine, vectors: ConceptVectors
) -> dict[str, Any]:
    """The ratios of speed."""
    prompts, tokens = chats(options.clients), options.tokens
    known = [concept.name for concept in emotions() if concept.name in vectors.names]
    length = Sampling(max_tokens=tokens, min_tokens=tokens)
    full = [
        Request(chat, length, bias={known[(7 * k) % len(known)]: {"dose": 0.05}}, read=tuple(known))
        for k, chat in enumerate(prompts)
    ]
    idle = [Request(chat, length) for chat in prompts]
    ids = [encode(mine.model.tokenizer, chat, True).ids for chat in prompts]
    plain = plain_engine(
        str(mine.model.folder), mine.model.context, options.clients, mine.model.identity.dtype
    )
    return {
        "concepts_read": len(known),
        "full_over_plain": paired(
            lambda: affekt_run(mine, full), lambda: plain_run(plain, ids, tokens), options.pairs
        ),
        "idle_over_plain": paired(
            lambda: plain_run(mine._driver._engine, ids, tokens),
            lambda: plain_run(plain, ids, tokens),
            options.pairs,
        ),
        "engine_unread_over_plain": paired(
            lambda: affekt_run(mine, idle), lambda: plain_run(plain, ids, tokens), options.pairs
        ),
        "full_over_transformers": paired(lambda: affekt_run(mine, full), lambda: affekt_run(theirs, full), 1),
    }


if __name__ == "__main__":
    main()
