from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from affekt.engines import Request, Sampling
from affekt.errors import BiasError, PromptError, UnknownConcept, VectorsError
from affekt.models.prompt import encode
from tests.engines.small import (
    CHAT,
    LONG,
    PROMPTS,
    STRONG,
    TEXT,
    answers,
    as_bias,
    assert_greedy,
    engine,
    expected_z,
    hooks,
    opened,
    plain_logits,
    prompt_of,
)
from tests.models import FAMILIES

BIASES: tuple[Any, ...] = (
    None,
    STRONG,
    {"calm": {"mode": "ablate"}, "angry": {"dose": 0.5, "ramp": {"over": 4}}},
    {"proud": {"mode": "clamp", "low": 1.0, "high": 2.0, "where": "reply"}},
)
MODES: dict[str, Any] = {
    "add": {"calm": {"dose": 0.6}, "desperate": {"dose": -0.4}},
    "reply": {"calm": {"dose": 0.8, "where": "reply"}},
    "prompt": {"calm": {"dose": 0.8, "where": "prompt"}},
    "ablate": {"calm": {"mode": "ablate"}, "angry": {"mode": "ablate"}},
    "clamp": {"calm": {"mode": "clamp", "low": 2.0, "high": 3.0}},
    "set": {"desperate": {"mode": "set", "value": -2.0}},
    "ramp": {"calm": {"dose": 0.9, "ramp": {"over": 6}}},
}


def greedy(source: Any, spec: Any = None, tokens: int = 10, **more: Any) -> Request:
    return Request(source, Sampling(max_tokens=tokens), bias=spec, **more)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_of_different_requests_writes_what_each_writes_alone(family: str) -> None:
    one = engine(family)
    requests = [
        greedy(source, spec, 6 + 3 * i, read="all" if i % 2 else None)
        for i, (source, spec) in enumerate(zip(PROMPTS, BIASES, strict=True))
    ]
    together, _ = answers(one, requests)
    for request, reply in zip(requests, together, strict=True):
        [alone], _ = answers(one, [request])
        assert reply.tokens == alone.tokens
        assert len(reply.tokens) == request.sampling.max_tokens
        assert reply.finish_reason == "length"
        assert_greedy(one, reply, request.bias)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unsteered_reply_is_that_of_plain_generate(family: str) -> None:
    one = engine(family)
    [reply], _ = answers(one, [greedy(CHAT, tokens=16)])
    prompt = encode(one.model.tokenizer, CHAT, generation_prompt=True)
    plain = one.model.network.generate(
        torch.tensor([prompt.ids]),
        max_new_tokens=16,
        do_sample=False,
        eos_token_id=one.model.tokenizer.eos_token_id,
    )
    assert reply.tokens == tuple(plain[0, len(prompt) :].tolist())


@pytest.mark.parametrize("family", FAMILIES)
def test_requests_that_wait_join_as_others_leave(family: str) -> None:
    requests = [
        greedy(PROMPTS[i % 4], BIASES[(i + i // 4) % 4], 2 + (5 * i) % 7, read=("calm",) if i % 3 else None)
        for i in range(9)
    ]
    few = engine(family, batch_size=3)
    assert few.joins
    assert {r.request: r.tokens for r in answers(few, requests)[0]} == {
        str(i): answers(few, [request])[0][0].tokens for i, request in enumerate(requests)
    }


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("chunk", [None, 1, 5])
@pytest.mark.parametrize("mode", MODES)
def test_a_bias_reaches_every_token(mode: str, chunk: int | None, cache: Any, attention: str) -> None:
    one = engine(model=opened("qwen2", attn_implementation=attention), cache=cache, prefill_chunk=chunk)
    requests = [greedy(source, MODES[mode], 8, read="all") for source in (CHAT, TEXT)]
    assert one.vectors is not None
    for reply, request in zip(answers(one, requests)[0], requests, strict=True):
        assert_greedy(one, reply, MODES[mode])
        assert reply.tokens != answers(one, [greedy(request.source, None, 8)])[0][0].tokens
        prompt, bias = prompt_of(reply), as_bias(MODES[mode], one.vectors)
        z = expected_z(one.model, reply.whole, bias, prompt, one.vectors)
        assert reply.reading is not None
        np.testing.assert_allclose(reply.reading.z, z, atol=1e-3, rtol=1e-3)
        plain = expected_z(one.model, reply.whole, None, prompt, one.vectors)
        # A bias on the reply alone is first felt at the reply's first token, any other at the prompt's end.
        felt = reply.prompt_tokens - (mode != "reply")
        assert (np.abs(plain - z)[felt:].max(-1) > 1e-3).all()


@pytest.mark.parametrize("family", ["gemma3_text", "mistral", "gemma2"])
def test_a_window_shorter_than_the_text_is_kept_to(family: str) -> None:
    one = engine(model=opened(family, sliding_window=8), batch_size=2)
    requests = [greedy(source, spec, 14) for source, spec in zip(PROMPTS, BIASES, strict=True)]
    for request, reply in zip(requests, answers(one, requests)[0], strict=True):
        assert len(reply.whole) > 8
        assert_greedy(one, reply, request.bias)


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_in_parts_give_what_whole_prompts_give(family: str) -> None:
    whole, parts = engine(family), engine(family, prefill_chunk=7)
    requests = [greedy(source, STRONG, 6, read="all") for source in PROMPTS]
    for a, b in zip(answers(whole, requests)[0], answers(parts, requests)[0], strict=True):
        assert a.tokens == b.tokens
        assert a.reading is not None and b.reading is not None
        torch.testing.assert_close(torch.tensor(a.reading.z), torch.tensor(b.reading.z), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_a_bias_that_came_as_json_steers_as_a_parsed_one(mode: str) -> None:
    """Elsewhere vectors given as JSON have run silently unsteered."""
    one = engine()
    written = json.loads(json.dumps(MODES[mode]))
    parsed = as_bias(MODES[mode], one.vectors)
    requests = [greedy(CHAT, spec, read="all") for spec in (None, written, parsed)]
    # Each by itself: rows of one batch differ by rounding.
    plain, from_json, from_terms = (answers(one, [request])[0][0] for request in requests)
    assert plain.reading is not None and from_json.reading is not None and from_terms.reading is not None
    np.testing.assert_array_equal(from_json.reading.z, from_terms.reading.z)
    assert from_json.tokens == from_terms.tokens
    whole = plain.prompt_tokens + 2
    assert np.abs(from_json.reading.z[:whole] - plain.reading.z[:whole]).max() > 0.1
    [said, said_plain] = one.score([CHAT] * 2, ["Proud, angry and calm"] * 2, bias=[written, None])
    assert np.abs(said - said_plain).max() > 1e-3
    if mode != "reply":
        assert np.abs(one.next_token([CHAT], bias=written) - one.next_token([CHAT])).max() > 1e-3


def test_a_bias_of_zero_is_none_to_the_bit() -> None:
    one = engine()
    zero = {"calm": 0.0, "angry": {"dose": 0.0}}
    none, nothing = (answers(one, [greedy(LONG, spec, 8, read="all")])[0][0] for spec in (None, zero))
    assert none.tokens == nothing.tokens
    assert none.reading is not None and nothing.reading is not None
    assert (none.reading.z == nothing.reading.z).all()


def test_several_replies_share_a_prompt() -> None:
    one = engine()
    drawn = Request(CHAT, Sampling(max_tokens=8, temperature=1.5, seed=3), n=3, read="all", bias=STRONG)
    replies, _ = answers(one, [drawn, greedy(TEXT, n=2)])
    assert [reply.choice for reply in replies] == [0, 1, 2, 0, 1]
    assert len({reply.tokens for reply in replies[:3]}) == 3
    assert replies[3].tokens == replies[4].tokens == answers(one, [greedy(TEXT)])[0][0].tokens
    assert (
        answers(one, [Request(CHAT, drawn.sampling, read="all", bias=STRONG)])[0][0].tokens
        == replies[0].tokens
    )


def test_a_marker_in_the_reply_is_heard_when_it_is_written() -> None:
    one = engine("mistral")
    [plain], tokens = answers(one, [greedy(CHAT, tokens=24)])
    at = next(i for i in range(4, 20) if tokens["0", 0][i].text.strip())
    written = "".join(token.text for token in tokens["0", 0][: at + 1])
    seen = plain.whole.text[: -len(plain.text)] + written
    marker = next(seen[-n:] for n in range(1, len(seen)) if seen.find(seen[-n:]) == len(seen) - n)
    spec = {"calm": {"dose": 1.5, "where": {"after": marker}}}
    [reply], _ = answers(one, [greedy(CHAT, spec, 24)])
    # The token after the marker is the first that is steered; the next one is the first that is chosen anew.
    assert reply.tokens[: at + 2] == plain.tokens[: at + 2]
    assert reply.tokens != plain.tokens
    [steered] = one.score([CHAT], [reply.tokens], bias=spec)
    [unsteered] = one.score([CHAT], [reply.tokens])
    assert list(np.abs(steered - unsteered) > 1e-6).index(True) == at + 2


def test_the_reply_ends_where_the_context_does() -> None:
    model = opened()
    long = encode(model.tokenizer, "calm and proud " * 700)
    source = type(long)(long.ids[:2040], long.spans[:2040], long.roles[:2040], long.text)
    [reply], _ = answers(engine(), [Request(source, Sampling(max_tokens=50), read=("calm",))])
    assert len(reply.tokens) == 8
    assert len(reply.whole) == 2048
    assert reply.finish_reason == "length"


def test_wrong_requests_are_found_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine()
    before = plain_logits(one.model)
    good = greedy(TEXT)
    wrong: list[tuple[type[Exception], str, Request]] = [
        (PromptError, "context of 2,048", greedy("calm " * 5000)),
        (PromptError, "empty", greedy("")),
        (PromptError, "", greedy([])),
        (PromptError, "clown", greedy([{"role": "clown", "content": "x"}])),
        (BiasError, "nan", greedy(TEXT, {"calm": {"dose": float("nan")}})),
        (UnknownConcept, "did you mean 'calm'", greedy(TEXT, {"calmm": 0.1})),
        (UnknownConcept, "concept 'c7'", greedy(TEXT, read=tuple(f"c{i}" for i in range(7, 507)))),
        (VectorsError, "layers", greedy(TEXT, read="all", layer=0)),
        (PromptError, "two requests", greedy(TEXT, id="0")),
    ]
    monkeypatch.setattr(one.model.network, "forward", None)
    for error, words, request in wrong:
        if error is PromptError and "context" in words:
            words = "takes 2,048"
        with pytest.raises(error, match=words):
            one.generate([good, request])
    monkeypatch.undo()
    assert list(one.generate([])) == []
    assert hooks(one.model) == 0
    assert torch.equal(before, plain_logits(one.model))
