"""Edits on whole networks: with a KV cache, in chunks and in padded batches they are as in a full forward."""

from __future__ import annotations

from functools import cache
from inspect import signature
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import StaticCache

from affekt.models.model import Model
from affekt.models.prompt import Encoded, encode
from affekt.models.residual import capture, edit
from affekt.steering import BatchEdit, Program, compile, parse
from tests.models import FAMILIES, HYBRIDS, tiny
from tests.steering.vectors import LAYERS, made

VECTORS = made()
SOURCE = [{"role": "user", "content": "She felt calm. And you?"}]
REPLY = 5

SPECS: dict[str, Any] = {
    "add": {"calm": {"dose": 0.6}, "angry": {"dose": -0.3}},
    "ablate": {"calm": {"mode": "ablate"}, "angry": {"mode": "ablate"}},
    "clamp": {"calm": {"mode": "clamp", "high": 0.0}, "angry": {"mode": "clamp", "low": 0.5}},
    "set": {"calm": {"mode": "set", "value": 2}, "angry": {"mode": "set", "value": -2}},
    "reply": {"calm": {"dose": 0.6, "where": "reply", "ramp": {"over": 3}}},
    "user": {"calm": {"mode": "set", "value": 2, "where": {"role": "user"}}, "proud": {"dose": 0.2}},
}


@cache
def opened(family: str) -> Model:
    return tiny(family)


def ready(family: str, spec: Any, source: Any = SOURCE) -> tuple[Model, Encoded, Program]:
    model = opened(family)
    prompt = encode(model.tokenizer, source, generation_prompt=True)
    return model, prompt, compile(parse(spec, VECTORS), VECTORS, prompt)


class Run:
    """Forwards of one batch under a `BatchEdit`; keeps the logits and the residual after the last layer."""

    def __init__(self, model: Model, programs: list[Program | None], past: Any = None) -> None:
        self.model, self.batch, self.past = model, BatchEdit(programs), past
        self.residual: list[Tensor] = []
        self.logits: list[Tensor] = []
        self.ids: list[int] = []

    def forward(self, ids: Tensor, places: Tensor, mask: Tensor, cached: bool = True) -> Tensor:
        def take(_layer: int, residual: Tensor) -> None:
            self.residual.append(residual.clone())

        arguments = dict(input_ids=ids, attention_mask=mask, use_cache=cached)
        if "position_ids" in signature(type(self.model.network).forward).parameters:
            arguments["position_ids"] = places.clamp(min=0)
        if cached:
            arguments["past_key_values"] = self.past
        with (
            torch.inference_mode(),
            edit(self.model, self.batch.at(places)),
            capture(self.model, LAYERS[-1:], take),
        ):
            output = self.model.network(**arguments)
        self.past = output.past_key_values if cached else None
        self.logits.append(output.logits)
        return output.logits[:, -1]


def full(model: Model, program: Program | None, ids: list[int]) -> Run:
    run = Run(model, [program])
    run.forward(
        torch.tensor([ids]), torch.arange(len(ids))[None], torch.ones(1, len(ids)).long(), cached=False
    )
    return run


def decoded(
    model: Model, program: Program | None, ids: list[int], chunks: list[int], past: Any = None
) -> Run:
    """Prefills in chunks that end at `chunks`, then decodes greedily; `run.ids` is the whole row."""
    run, row, start = Run(model, [program], past), list(ids), 0
    for end in [*chunks, *range(len(ids) + 1, len(ids) + REPLY + 1)]:
        piece, places = torch.tensor([row[start:end]]), torch.arange(start, end)[None]
        chosen = run.forward(piece, places, torch.ones(1, end).long())
        if end >= len(ids):
            row.append(int(chosen.argmax()))
        start = end
    run.ids = row[:-1]
    return run


def agrees(run: Run, whole: Run) -> None:
    assert torch.allclose(torch.cat(run.residual, 1), whole.residual[0], atol=2e-3)
    assert torch.allclose(torch.cat(run.logits, 1), whole.logits[0], atol=2e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_cached_decode_is_edited_as_a_full_forward(family):
    model, prompt, program = ready(
        family, SPECS["add"] | {"furious": {"mode": "clamp", "low": 0.5, "high": 1}}
    )
    run = decoded(model, program, list(prompt.ids), [len(prompt)])
    agrees(run, full(model, program, run.ids))
    plain = full(model, None, run.ids)
    assert ((run.residual[-1] - plain.residual[0][:, -1:]).norm() > 1.0).all()


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("chunked", [False, True])
def test_every_mode_reaches_every_token_that_it_names(kind, chunked):
    model, prompt, program = ready("llama", SPECS[kind])
    run = decoded(model, program, list(prompt.ids), [4, 9, len(prompt)] if chunked else [len(prompt)])
    agrees(run, full(model, program, run.ids))
    moved = (torch.cat(run.residual, 1) - full(model, None, run.ids).residual[0]).norm(dim=-1)[0] > 1e-4
    first = {"reply": len(prompt) + 1, "add": 0, "user": 0}.get(kind, 1)
    assert not moved[:first].any()
    assert kind == "clamp" or moved[first:].all()


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in HYBRIDS])
def test_a_prefill_in_chunks_is_edited_as_one(family):
    model, prompt, program = ready(family, SPECS["user"] | {"calm": {"dose": 0.5, "ramp": {"over": 6}}})
    run = decoded(model, program, list(prompt.ids), [3, 4, 11, len(prompt)])
    agrees(run, full(model, program, run.ids))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("static", [False, True])
def test_neither_cache_nor_attention_changes_what_is_edited(attention, static):
    model, prompt, program = ready("qwen3", SPECS["set"] | {"proud": {"dose": 0.4}})
    model.network.set_attn_implementation(attention)
    past = StaticCache(config=model.network.config, max_cache_len=len(prompt) + REPLY + 1) if static else None
    run = decoded(model, program, list(prompt.ids), [len(prompt)], past)
    agrees(run, full(model, program, run.ids))


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "gpt2", "gpt_neox", "mixtral", "lfm2"])
def test_rows_of_a_padded_batch_are_edited_each_by_its_own_bias(family):
    sources = [SOURCE, [{"role": "user", "content": "No."}], "He was angry and", SOURCE]
    rows = [
        ready(family, spec, source)
        for spec, source in zip([SPECS["add"], SPECS["set"], SPECS["clamp"], {}], sources, strict=True)
    ]
    model, programs = rows[0][0], [program for _, _, program in rows]
    longest = max(len(prompt) for _, prompt, _ in rows)
    ids, places = torch.zeros(2, 4, longest).long()
    places -= 1
    for row, (_, prompt, _) in enumerate(rows):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt.ids)
        places[row, longest - len(prompt) :] = torch.arange(len(prompt))
    run, mask, written = Run(model, [*programs[:3], None]), (places >= 0).long(), []
    for _ in range(REPLY):
        chosen = run.forward(ids, places, mask).argmax(-1, keepdim=True)
        written.append(chosen)
        ids, places, mask = chosen, places[:, -1:] + 1, torch.cat([mask, torch.ones(4, 1).long()], 1)
    reply = torch.cat(written, 1)
    for row, (_, prompt, program) in enumerate(rows):
        alone = decoded(model, program, list(prompt.ids), [len(prompt)])
        assert (
            alone.ids[len(prompt) :]
            == reply[row, : REPLY - 1].tolist() + alone.ids[len(prompt) + REPLY - 1 :]
        )
        assert torch.allclose(run.residual[-1][row], alone.residual[REPLY - 1][0], atol=2e-3)


def test_a_bias_of_zero_is_none_to_the_bit():
    model, prompt, program = ready("llama", {"calm": 0, "angry": {"dose": 0.0, "layers": 1}})
    run, plain = (decoded(model, own, list(prompt.ids), [len(prompt)]) for own in (program, None))
    assert run.ids == plain.ids
    assert torch.equal(torch.cat(run.logits, 1), torch.cat(plain.logits, 1))
