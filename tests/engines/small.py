"""Tiny models with vectors, and the plain reference every verb is held to: one row, one whole forward, no
cache."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from affekt.engines import Reply, Request, Token
from affekt.engines.transformers import TransformersEngine
from affekt.models.model import Model
from affekt.models.prompt import Encoded
from affekt.models.residual import stream
from affekt.reading.reading import Reading
from affekt.steering.bias import Bias, parse
from affekt.steering.edit import batch_edits
from affekt.steering.program import compile
from affekt.vectors.conceptvectors import ConceptVectors, Provenance
from affekt.vectors.readout import position_of
from tests.models import tiny
from tests.steering.vectors import made

CHAT = [{"role": "user", "content": "What shall we do now?"}]
LONG = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "He was angry and afraid. " * 4},
]
TEXT = "The river was calm in the morning and"
PROMPTS: tuple[Any, ...] = (TEXT, CHAT, LONG, "She")
"""Sources of very different lengths."""

STRONG = {"calm": {"dose": 0.6}, "desperate": {"dose": -0.4, "where": "reply"}}
"""A bias that changes what a tiny model writes."""


@cache
def opened(family: str = "llama", **config: Any) -> Model:
    return tiny(family, **config)


def vectors_for(model: Model, **parts: Any) -> ConceptVectors:
    return made(model.identity.d_model, (1, 2), provenance=Provenance(model.identity, {}, {}), **parts)


def engine(family: str = "llama", model: Model | None = None, **options: Any) -> TransformersEngine:
    model = model or opened(family)
    return TransformersEngine(model, vectors_for(model), **options)


def outputs(model: Model, whole: Encoded, bias: Bias | None, prompt: Encoded, vectors: ConceptVectors) -> Any:
    """Residuals per layer [tokens d_model] and logits [tokens vocab] of one whole forward under a bias."""
    programs = [compile(bias, vectors, prompt)] if bias is not None else [None]
    edits = batch_edits(programs, torch.arange(len(whole))[None])
    kept: dict[int, Tensor] = {}

    def hook_for(layer: int) -> Any:
        def hook(_block: Any, _args: Any, output: Any) -> Any:
            residual = stream(output).clone()
            if layer in edits:
                residual = edits[layer](residual)
            kept[layer] = residual[0].clone()
            return (residual, *output[1:]) if isinstance(output, tuple) else residual

        return hook

    handles = [block.register_forward_hook(hook_for(layer)) for layer, block in enumerate(model.layers)]
    try:
        with torch.no_grad():
            logits = model.network(input_ids=torch.tensor([whole.ids]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return kept, logits


def expected_z(
    model: Model, whole: Encoded, bias: Bias | None, prompt: Encoded, vectors: ConceptVectors, layer: int = 2
) -> np.ndarray:
    """z of every concept at every token of prompt and reply, from one separate forward."""
    residuals, _ = outputs(model, whole, bias, prompt, vectors)
    readout = vectors.readout(layer)
    rows = [readout.z(h, position_of(role)) for h, role in zip(residuals[layer], whole.roles, strict=True)]
    return torch.stack(rows).numpy()


def as_bias(spec: Any, vectors: ConceptVectors) -> Bias | None:
    return parse(spec, vectors) if spec else None


def assert_same(one: Reading, other: Reading, tolerance: float = 2e-4) -> None:
    assert (one.text, one.tokens, one.spans, one.roles, one.concepts, one.layer) == (
        other.text, other.tokens, other.spans, other.roles, other.concepts, other.layer,
    )  # fmt: skip
    for name in ("z", "cosine", "projection"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=tolerance, rtol=tolerance)


def plain_logits(model: Model, ids: Sequence[int] = (1, 9, 40, 77, 12)) -> Tensor:
    """What the bare network says, to compare to the bit before and after."""
    with torch.no_grad():
        return model.network(input_ids=torch.tensor([list(ids)])).logits.clone()


def hooks(model: Model) -> int:
    """How many hooks are on the network."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.network.modules()
    )


def answers(
    one: TransformersEngine, requests: Sequence[Request]
) -> tuple[list[Reply], dict[tuple[str, int], list[Token]]]:
    """The replies in the order of the requests and choices, and each one's tokens as they were shown."""
    replies: dict[tuple[str, int], Reply] = {}
    tokens: dict[tuple[str, int], list[Token]] = {}
    for piece in one.generate(requests):
        key = (piece.request, piece.choice)
        assert key not in replies, "something came after a reply"
        if isinstance(piece, Reply):
            replies[key] = piece
            tokens.setdefault(key, [])
        else:
            tokens.setdefault(key, []).append(piece)
    names = [request.id or str(place) for place, request in enumerate(requests)]
    order = [(name, c) for name, request in zip(names, requests, strict=True) for c in range(request.n)]
    assert sorted(order) == sorted(replies)
    for key, reply in replies.items():
        if not reply.replaced:
            assert "".join(token.text for token in tokens[key]) == reply.text
            assert tuple(token.id for token in tokens[key]) == reply.tokens
        assert [token.index for token in tokens[key]] == list(range(len(tokens[key])))
    return [replies[key] for key in order], tokens


def prompt_of(reply: Reply) -> Encoded:
    """The prompt's part of a reply's whole."""
    whole, end = reply.whole, reply.prompt_tokens
    return Encoded(whole.ids[:end], whole.spans[:end], whole.roles[:end], whole.text)


def assert_greedy(one: TransformersEngine, reply: Reply, spec: Any) -> None:
    """Every token of the reply is the likeliest in one whole forward of prompt and reply under the bias."""
    vectors = one.vectors
    assert vectors is not None
    prompt = prompt_of(reply)
    _, logits = outputs(one.model, reply.whole, as_bias(spec, vectors), prompt, vectors)
    best = logits[reply.prompt_tokens - 1 : -1].argmax(-1)
    assert tuple(best.tolist()) == reply.tokens
