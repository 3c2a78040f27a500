"""How tokens are chosen, in vLLM's words, and what vLLM says of those it chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedTokenizerBase

from affekt.engines.engine import Sampling
from affekt.engines.token import TopToken

__all__ = ["once", "sampled", "tokens_of"]

STRIDE = 0x9E3779B97F4A7C15


def sampled(
    sampling: Sampling,
    *,
    left: int,
    written: int,
    reads: bool,
    seed: int,
    ends: frozenset[int],
    fresh: bool,
) -> Any:
    """`SamplingParams` of a row that is handed in.

    A row that is read runs one forward more than it has tokens, since the last one's reading needs its own;
    so vLLM does not end it, whoever reads does.

    Args:
        sampling: as the request asks.
        left: how many tokens it may still write; with 0 only its last one is read.
        written: how many it has.
        reads: whether its tokens are read.
        seed: sets replies to one request apart.
        ends: the tokens that end a reply.
        fresh: whether no part of the prompt may come from the prefix cache, since all of it is read.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    banned = max(0, sampling.min_tokens - written)
    endless = reads and not banned
    drawn = None
    if sampling.temperature > 0 and sampling.seed is not None:
        drawn = (sampling.seed + seed * STRIDE) % (1 << 62)
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        seed=drawn,
        max_tokens=max(1, left + (1 if reads else 0)),
        min_tokens=min(banned, max(0, left)),
        stop_token_ids=[] if endless else sorted(ends),
        ignore_eos=True,
        logprobs=sampling.logprobs,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
        skip_reading_prefix_cache=fresh,
    )


def once(**options: Any) -> Any:
    """`SamplingParams` of a prompt that is only run: one token, told of when it is over."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=0.0,
        max_tokens=1,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_reading_prefix_cache=options.pop("fresh", True),
        **options,
    )


def tokens_of(
    output: Any, tokenizer: PreTrainedTokenizerBase, wanted: int
) -> Iterator[tuple[int, float | None, tuple[TopToken, ...]]]:
    """The new tokens of a `RequestOutput`, each with its log-probability and the `wanted` likeliest ones."""
    [reply] = output.outputs
    for place, id in enumerate(reply.token_ids):
        if not reply.logprobs:
            yield int(id), None, ()
            continue
        told = reply.logprobs[place]
        ranked = sorted(told.items(), key=lambda item: -item[1].logprob)[:wanted]
        tops = tuple(
            TopToken(int(top), str(tokenizer.decode([top])), float(one.logprob)) for top, one in ranked
        )
        yield int(id), float(told[id].logprob), tops
