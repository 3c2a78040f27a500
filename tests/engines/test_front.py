"""What prompts begin with alike is run once, and nothing of what they write or of what is read changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from affekt.engines import Reply, Request, Sampling
from affekt.engines.transformers import filling
from affekt.errors import PromptError
from tests.engines.small import STRONG, answers, as_bias, assert_greedy, engine, outputs, prompt_of
from tests.models import FAMILIES, HYBRIDS

SYSTEM = {"role": "system", "content": "Answer in one short sentence and be calm. " * 3}
ASKED = ("Who was angry?", "What is the river, and where does it go in the morning?", "Why?", "When was it?")
CHATS: list[Any] = [[SYSTEM, {"role": "user", "content": text}] for text in ASKED]


def requests(**more: Any) -> list[Request]:
    return [Request(chat, Sampling(max_tokens=5), **more) for chat in CHATS]


@pytest.mark.parametrize("family", FAMILIES)
def test_replies_are_what_each_prompt_alone_gives(family: str, forwards: list[tuple[int, int]]) -> None:
    one = engine(family)
    replies, _ = answers(one, requests(read="all"))
    if family in HYBRIDS:
        assert forwards[0][0] == len(CHATS)
    else:
        (rows, front), (all_rows, rest) = forwards[:2]
        assert rows == 1 and all_rows == len(CHATS) and front > 20
        assert front + rest == max(reply.prompt_tokens for reply in replies)
    for reply, chat in zip(replies, CHATS, strict=True):
        assert_greedy(one, reply, None)
        [alone], _ = answers(one, [Request(chat, Sampling(max_tokens=5), read="all")])
        assert alone.tokens == reply.tokens
        assert alone.reading is not None and reply.reading is not None
        np.testing.assert_allclose(alone.reading.z, reply.reading.z, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("where", ["reply", "both"])
def test_only_what_nothing_steers_is_shared(where: str, forwards: list[tuple[int, int]]) -> None:
    one = engine()
    spec = {"calm": {"dose": 0.6, "where": where}}
    replies, _ = answers(one, [*requests()[:3], Request(CHATS[3], Sampling(max_tokens=5), bias=spec)])
    assert (forwards[0][0] == 1) == (where == "reply")
    for reply, bias in zip(replies, (None, None, None, spec), strict=True):
        assert_greedy(one, reply, bias)


@pytest.mark.parametrize("chunk", [None, 7])
def test_several_replies_to_prompts_in_parts(chunk: int | None) -> None:
    one = engine(prefill_chunk=chunk)
    replies, _ = answers(one, requests(n=2, bias={"calm": {"dose": 0.6, "where": "reply"}}))
    assert len(replies) == 2 * len(CHATS)
    for reply in replies:
        assert_greedy(one, reply, {"calm": {"dose": 0.6, "where": "reply"}})


def test_a_window_shorter_than_the_prompts_shares_nothing(
    monkeypatch: pytest.MonkeyPatch, forwards: list[tuple[int, int]]
) -> None:
    one = engine("gemma3_text")
    text = one.model.network.config.get_text_config(decoder=True)
    monkeypatch.setattr(text, "sliding_window", 16)
    answers(one, requests())
    assert forwards[0][0] == len(CHATS)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spec", [None, STRONG])
def test_residuals_of_a_reply_are_those_of_its_own_tokens(family: str, spec: Any) -> None:
    one = engine(family)
    asked = [
        Request(chat, Sampling(max_tokens=3 + i), spec, residuals=(2, 0)) for i, chat in enumerate(CHATS)
    ]
    asked.append(Request(CHATS[0], Sampling(max_tokens=3), spec, read=("calm",)))
    replies, _ = answers(one, asked)
    assert replies[-1].residuals is None and replies[-1].reading is not None
    for reply in replies[:-1]:
        assert reply.residuals is not None and reply.residuals.shape[:2] == (2, len(reply.tokens) + 1)
        assert one.vectors is not None
        bias = as_bias(spec, one.vectors)
        found, _ = outputs(one.model, reply.whole, bias, prompt_of(reply), one.vectors)
        for row, layer in enumerate((2, 0)):
            expected = found[layer][reply.prompt_tokens - 1 :]
            torch.testing.assert_close(reply.residuals[row], expected, atol=2e-4, rtol=2e-4)


def test_residuals_of_a_layer_that_is_not_there() -> None:
    with pytest.raises(PromptError, match="layer 4 of a model with layers 0 to 3"):
        answers(engine(), [Request(CHATS[0], residuals=(4,))])


def test_the_last_residual_alone_runs_no_block_beyond_it() -> None:
    one = engine()
    ran: list[int] = []
    handle = one.model.layers[-1].register_forward_hook(lambda *_: ran.append(1))
    try:
        [reply] = [
            piece
            for piece in one.generate([Request(CHATS[2], Sampling(max_tokens=4), residuals=(1,))])
            if isinstance(piece, Reply)
        ]
    finally:
        handle.remove()
    assert reply.residuals is not None and reply.residuals.shape[1] == 5
    assert len(ran) == 4


def test_a_front_that_saves_less_than_a_forward_is_not_shared(forwards: list[tuple[int, int]]) -> None:
    one = engine()
    answers(one, requests()[:1])
    assert forwards[0][0] == 1 and forwards[1] == (1, 1)
    assert filling.common_front([(1, 2, 3), (1, 2, 4)], [3, 3]) == 0
