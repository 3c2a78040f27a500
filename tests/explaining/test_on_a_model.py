"""Explaining a real, if tiny, network: what is reported is what an ablation by hand does."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from affekt.engines.transformers import TransformersEngine
from affekt.explaining import Explanation, Told, explain, tell
from affekt.models.layers import find
from affekt.models.model import Model
from affekt.steering import parse
from affekt.vectors.conceptvectors import ConceptVectors
from tests.engines.small import CHAT, hooks, opened, outputs, plain_logits, vectors_for

REPLY = "She was calm and wrote to her brother."


def told(model: Model, reply: str = REPLY) -> Told:
    return tell(model.tokenizer, CHAT, reply)


def why(model: Model, vectors: ConceptVectors, **options: Any) -> Explanation:
    return explain(
        TransformersEngine(model, vectors),
        vectors,
        told(model),
        lambda widened: TransformersEngine(model, widened),
        **options,
    )


def logprobs(model: Model, text: Told, spec: Any, vectors: ConceptVectors) -> Tensor:
    bias = parse(spec, vectors) if spec else None
    _, logits = outputs(model, text.whole, bias, text.prompt, vectors)
    before = logits[text.prompt_tokens - 1 : -1].log_softmax(-1)
    return before.gather(1, torch.tensor(text.reply)[:, None])[:, 0]


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "qwen3_next"])
def test_falls_are_those_of_an_ablation_by_hand(family: str) -> None:
    model = opened(family)
    vectors = vectors_for(model)
    found = why(model, vectors, rows=28, concepts=["proud", "calm"])
    base = logprobs(model, told(model), None, vectors)
    assert found.replies[0].logprobs == pytest.approx(base.tolist(), abs=1e-4)
    for place in found.places:
        for name in ("proud", "calm"):
            spec = {name: {"mode": "ablate", "where": place}}
            after = logprobs(model, told(model), spec, vectors)
            assert found.of(name, place).falls[0] == pytest.approx((base - after).tolist(), abs=2e-4)


def test_a_direction_that_the_reply_rests_on_is_found() -> None:
    model = opened("llama", hidden_size=128, head_dim=32)
    vectors = with_cause(model, vectors_for(model))
    found = why(model, vectors)
    first = found.ranking()[0]
    assert first.concept == "angry" and first.chance.z > 3 and first.nats > 0


def with_cause(model: Model, vectors: ConceptVectors) -> ConceptVectors:
    """The vectors with one concept along what, to first order, the reply's log-probability rests on most."""
    text = told(model)
    kept: dict[int, Tensor] = {}

    def keep(layer: int) -> Any:
        def hook(_block: Any, _args: Any, output: Any) -> None:
            residual = output[0] if isinstance(output, tuple) else output
            residual.retain_grad()
            kept[layer] = residual

        return hook

    handles = [model.layers[layer].register_forward_hook(keep(layer)) for layer in vectors.steer_layers]
    try:
        with torch.enable_grad():
            embedded = model.network.get_input_embeddings()(torch.tensor([text.whole.ids])).requires_grad_()
            logits = model.network(inputs_embeds=embedded, use_cache=False).logits[0]
            before = logits[text.prompt_tokens - 1 : -1].log_softmax(-1)
            before.gather(1, torch.tensor(text.reply)[:, None]).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
        model.network.zero_grad()
    layer = vectors.steer_layers[0]
    gradient = kept[layer].grad
    assert gradient is not None
    product = kept[layer][0, 1:].detach().T @ gradient[0, 1:]
    _, directions = torch.linalg.eigh(product + product.T)
    stack = vectors.projected.clone()
    stack[:, vectors.index("angry")] = directions[:, -1]
    return replace(vectors, projected=stack)


@pytest.mark.parametrize("name", ["angry", "calm"])
def test_a_state_that_the_network_holds_throughout_comes_first(name: str) -> None:
    """Its own weights push every token along a concept that stands for the reply's words. Such a state is in
    the mean of the text, where controls that keep the mean would have it too."""
    model = opened("llama", hidden_size=256, head_dim=32)
    reply = "calm calm calm calm calm calm calm calm"
    vectors = meaning(model, vectors_for(model), name, reply)
    held = possessed(model, vectors, name)
    found = explain(
        TransformersEngine(held, vectors),
        vectors,
        told(held, reply),
        lambda wider: TransformersEngine(held, wider),
    )
    first = found.ranking()[0]
    assert first.concept == name and first.chance.z > 3 and first.chance.low > 0
    assert first.nats > 3 * max(abs(effect.nats) for effect in found.ranking()[1:])


def meaning(model: Model, vectors: ConceptVectors, name: str, reply: str) -> ConceptVectors:
    """The vectors with one concept along what makes the reply's tokens likelier than others."""
    rows = model.network.get_output_embeddings().weight.detach()
    stack = vectors.projected.clone()
    stack[:, vectors.index(name)] = rows[list(told(model, reply).reply)].mean(0) - rows.mean(0)
    return replace(vectors, projected=stack)


def possessed(model: Model, vectors: ConceptVectors, name: str, dose: float = 0.25) -> Model:
    """The same network, but at the first layer steered its own weights push every token along a concept."""
    network = copy.deepcopy(model.network)
    held = replace(model, network=network, layers=find(network))
    layer = vectors.steer_layers[0]
    norm = outputs(model, told(model).whole, None, told(model).whole, vectors)[0][layer].norm(dim=-1).mean()
    down = held.layers[layer].mlp.down_proj
    down.bias = torch.nn.Parameter(dose * norm * vectors.directions(layer)[vectors.index(name)])
    return held


def test_random_concepts_are_not_taken_for_causes() -> None:
    model = opened("llama", hidden_size=128, head_dim=32)
    found = [why(model, vectors_for(model, seed=seed), seed=seed) for seed in range(6)]
    effects = [effect for one in found for effect in one.effects]
    assert sum(any(effect.stands_out for effect in one.effects) for one in found) <= 1
    assert np.mean([effect.chance.low < 0 < effect.chance.high for effect in effects]) > 0.85


def test_a_pair_of_replies() -> None:
    model = opened()
    vectors = vectors_for(model)
    other = told(model, "He was angry.")
    found = why(model, vectors, against=other, rows=28, concepts=["calm"])
    odds = logprobs(model, told(model), None, vectors).sum() - logprobs(model, other, None, vectors).sum()
    assert found.nats == pytest.approx(float(odds), abs=1e-3)
    spec = {"calm": {"mode": "ablate", "where": "both"}}
    after = logprobs(model, told(model), spec, vectors).sum() - logprobs(model, other, spec, vectors).sum()
    assert found.of("calm").nats == pytest.approx(float(odds - after), abs=1e-3)


def test_the_model_is_left_as_it_was() -> None:
    model = opened()
    before, own = plain_logits(model), hooks(model)
    why(model, vectors_for(model), rows=28)
    assert torch.equal(plain_logits(model), before) and hooks(model) == own


def test_readings_are_the_engines() -> None:
    model = opened()
    vectors = vectors_for(model)
    found = why(model, vectors, rows=28, concepts=["calm", "angry"])
    names: Sequence[str] = found.replies[0].reading.concepts
    [reading] = TransformersEngine(model, vectors).read([told(model).whole], names)
    assert found.replies[0].reading.z == pytest.approx(reading.z, abs=1e-4)
