"""Extraction against the loop a newcomer writes: tokens per second, memory, and whether the vectors agree.

    python bench/extraction.py [--model smollm2-135m-instruct] [--topics 3] [--emotions 40] [--pairs 3]

The newcomer's loop: float32, one text at a time, `output_hidden_states=True`, mean from the 50th token on.
Both run over the same texts in turn, `--pairs` times; the ratio is the median over pairs. Prints JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from transformers import AutoModelForCausalLM

import affekt
from affekt.concepts import Corpus
from affekt.concepts.shipped import stories
from affekt.models.weights import resolve
from affekt.vectors.cells import layout
from affekt.vectors.collect import from_token
from affekt.vectors.directions import balanced
from affekt.vectors.extraction import Recipe, candidate_layers
from affekt.vectors.gather import gather_corpus

FIRST = 50


def newcomer(network, tokenizer, corpus: Corpus, layers: list[int]):
    """Raw vectors by the plain loop, and tokens per second."""
    names = [c.name for c in corpus.concepts]
    sums = torch.zeros(len(names), len(layers), network.config.hidden_size)
    counts = torch.zeros(len(names))
    tokens, started = 0, time.perf_counter()
    with torch.no_grad():
        for text in corpus:
            ids = tokenizer(text.body, return_tensors="pt").input_ids
            states = network(ids, output_hidden_states=True).hidden_states
            pooled = torch.stack([states[layer + 1][0, FIRST:].mean(0) for layer in layers])
            sums[names.index(text.concept)] += pooled
            counts[names.index(text.concept)] += 1
            tokens += ids.shape[1]
    rate = tokens / (time.perf_counter() - started)
    means = sums / counts[:, None, None]
    return means - means.mean(0), rate, tokens


def ours(model, corpus: Corpus, layers: list[int]):
    """Raw vectors by Affekt's gather, and seconds."""
    started = time.perf_counter()
    cells, _ = gather_corpus(
        affekt.TransformersEngine(model).collect,
        corpus,
        layout(corpus),
        layers,
        model.identity.d_model,
        from_token(FIRST),
    )
    seconds = time.perf_counter() - started
    return torch.stack([balanced(cells.means(at))[0] for at in range(len(layers))], 1), seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--topics", type=int, default=3)
    parser.add_argument("--emotions", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    whole = stories()
    corpus = whole.only(
        topic=whole.topics[: options.topics], concept=[c.name for c in whole.concepts[: options.emotions]]
    )
    model = affekt.load(options.model)
    plain = AutoModelForCausalLM.from_pretrained(resolve(options.model).folder, dtype=torch.float32).eval()
    layers = list(candidate_layers(model.identity.n_layers, Recipe().band))
    ratios = []
    for _ in range(options.pairs):
        theirs, rate, tokens = newcomer(plain, model.tokenizer, corpus, layers)
        mine, seconds = ours(model, corpus, layers)
        ratios.append(tokens / seconds / rate)
    cosine = torch.nn.functional.cosine_similarity(theirs, mine, dim=-1)
    print(
        json.dumps(
            {
                "model": options.model,
                "texts": len(corpus),
                "tokens": tokens,
                "newcomer_tokens_per_second": round(rate, 1),
                "affekt_tokens_per_second": round(tokens / seconds, 1),
                "ratio_median": round(statistics.median(ratios), 2),
                "ratios": [round(r, 2) for r in ratios],
                "cosine_min": round(float(cosine.min()), 5),
                "cosine_median": round(float(cosine.median()), 5),
                "vectors": cosine.numel(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
