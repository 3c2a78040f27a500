"""What a reply carries: readings without an off-by-one, text, log-probabilities, why it ended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from affekt.engines import Reply, Request, Sampling
from affekt.models.model import Model
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
    opened,
    outputs,
    prompt_of,
)
from tests.models import FAMILIES, tiny


def ending(family: str, at: int, **config: Any) -> tuple[Model, tuple[int, ...]]:
    """A model that ends its reply to `CHAT` with the token it would have written at `at`, and the tokens up
    to it."""
    [reply], _ = answers(engine(family), [Request(CHAT, Sampling(max_tokens=at + 1))])
    model = tiny(family, **config)
    model.network.generation_config.eos_token_id = [reply.tokens[at], 2]
    first = reply.tokens.index(reply.tokens[at])
    return model, reply.tokens[: first + 1]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spec", [None, STRONG], ids=["plain", "biased"])
def test_each_reading_is_of_its_own_token(family: str, spec: Any) -> None:
    one = engine(family)
    requests = [
        Request(source, Sampling(max_tokens=5 + 2 * i), bias=spec, read="all")
        for i, source in enumerate(PROMPTS)
    ]
    replies, tokens = answers(one, requests)
    assert one.vectors is not None
    for i, reply in enumerate(replies):
        z = expected_z(one.model, reply.whole, as_bias(spec, one.vectors), prompt_of(reply), one.vectors)
        assert reply.reading is not None
        assert len(reply.reading) == len(reply.whole) == reply.prompt_tokens + 5 + 2 * i
        np.testing.assert_allclose(reply.reading.z, z, atol=1e-3, rtol=1e-3)
        shown = np.stack([token.reading for token in tokens[str(i), 0]])  # type: ignore[arg-type]
        np.testing.assert_allclose(shown, z[reply.prompt_tokens :], atol=1e-3, rtol=1e-3)
        if spec is None:
            np.testing.assert_allclose(one.read([reply.whole])[0].z, reply.reading.z, atol=1e-3, rtol=1e-3)


def test_each_row_reads_its_own_concepts_at_its_own_layer() -> None:
    one = engine()
    requests = [
        Request(TEXT, Sampling(max_tokens=4), read=("proud", "calm"), layer=1),
        Request(CHAT, Sampling(max_tokens=6)),
        Request(LONG, Sampling(max_tokens=5), read=("angry", "angry"), layer=2),
    ]
    replies, tokens = answers(one, requests)
    assert replies[1].reading is None
    assert all(token.reading is None for token in tokens["1", 0])
    for reply, names, layer in ((replies[0], ("proud", "calm"), 1), (replies[2], ("angry",), 2)):
        assert reply.reading is not None
        assert (reply.reading.concepts, reply.reading.layer) == (names, layer)
        columns = [one.vectors.index(name) for name in names]  # type: ignore[union-attr]
        z = expected_z(one.model, reply.whole, None, prompt_of(reply), one.vectors, layer)  # type: ignore[arg-type]
        np.testing.assert_allclose(reply.reading.z, z[:, columns], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("family", ["llama", "qwen3_next", "lfm2"])
@pytest.mark.parametrize("read", [None, "all"])
def test_an_end_token_ends_the_reply_and_is_read(family: str, read: Any) -> None:
    model, until = ending(family, 5)
    one = engine(model=model)
    [reply, other], tokens = answers(
        one,
        [Request(CHAT, Sampling(max_tokens=40), read=read), Request(TEXT, Sampling(max_tokens=9), read=read)],
    )
    assert reply.tokens == until
    assert reply.finish_reason == "stop"
    assert tokens["0", 0][-1].text == ""
    assert reply.whole.roles[-1] == "special"
    assert reply.text == model.tokenizer.decode(until[:-1], skip_special_tokens=True)
    assert len(other.tokens) == 9 or other.finish_reason == "stop"
    if read:
        assert reply.reading is not None and one.vectors is not None
        z = expected_z(model, reply.whole, None, prompt_of(reply), one.vectors)
        np.testing.assert_allclose(reply.reading.z, z, atol=1e-3, rtol=1e-3)


def test_no_end_comes_before_the_least_number_of_tokens() -> None:
    model, until = ending("llama", 3)
    one = engine(model=model)
    [reply], _ = answers(one, [Request(CHAT, Sampling(max_tokens=12, min_tokens=9))])
    assert reply.tokens[: len(until) - 1] == until[:-1]
    assert len(reply.tokens) >= 9
    assert not set(reply.tokens[:9]) & {until[-1], 2}


def test_an_unread_token_is_shown_by_its_own_forward_a_read_one_by_the_next() -> None:
    batch = engine().open_batch()
    batch.add(Request(TEXT, Sampling(max_tokens=3), id="unread"))
    batch.add(Request(CHAT, Sampling(max_tokens=3), id="read", read=("calm",)))
    steps = []
    while batch.busy:
        steps.append([(piece.request, getattr(piece, "index", "reply")) for piece in batch.step()])
    assert steps == [
        [("unread", 0), ("unread", 1), ("read", 0)],
        [("unread", 2), ("unread", "reply"), ("read", 1)],
        [("read", 2), ("read", "reply")],
    ]


def test_the_last_reading_alone_runs_no_block_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine()
    ran: list[int] = []
    handles = [
        block.register_forward_pre_hook(lambda *_args, layer=layer: ran.append(layer))
        for layer, block in enumerate(one.model.layers)
    ]
    try:
        [reply], _ = answers(one, [Request(TEXT, Sampling(max_tokens=2), read=("calm",))])
    finally:
        for handle in handles:
            handle.remove()
    assert ran == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]
    assert reply.reading is not None and len(reply.reading) == reply.prompt_tokens + 2


@pytest.mark.parametrize("spec", [None, STRONG])
def test_log_probabilities_are_the_models_own(spec: Any) -> None:
    one = engine()
    sampling = Sampling(max_tokens=6, temperature=0.8, seed=5, top_p=0.9, logprobs=4)
    replies, tokens = answers(one, [Request(source, sampling, bias=spec) for source in PROMPTS])
    for i, reply in enumerate(replies):
        _, logits = outputs(one.model, reply.whole, as_bias(spec, one.vectors), prompt_of(reply), one.vectors)  # type: ignore[arg-type]
        logprobs = logits.log_softmax(-1)[reply.prompt_tokens - 1 : -1]
        own = logprobs.gather(-1, torch.tensor(reply.tokens)[:, None])[:, 0]
        np.testing.assert_allclose(reply.logprobs, own, atol=1e-3)
        np.testing.assert_allclose([t.logprob for t in tokens[str(i), 0]], own, atol=1e-3)
        for token, row in zip(tokens[str(i), 0], logprobs, strict=True):
            best = row.topk(4)
            assert [top.id for top in token.top_logprobs] == best.indices.tolist()
            np.testing.assert_allclose([top.logprob for top in token.top_logprobs], best.values, atol=1e-3)
            assert token.top_logprobs[0].text == one.model.tokenizer.decode([best.indices[0]])
    np.testing.assert_allclose(
        one.score(PROMPTS, [reply.tokens for reply in replies], bias=spec)[2], replies[2].logprobs, atol=1e-3
    )
    plain, shown = answers(
        one, [Request(TEXT, Sampling(max_tokens=3, logprobs=0)), Request(TEXT, Sampling(max_tokens=3))]
    )
    assert len(plain[0].logprobs) == 3 and shown["0", 0][0].top_logprobs == ()
    assert plain[1].logprobs == () and shown["1", 0][0].logprob is None


def test_half_characters_are_never_shown_and_none_is_lost() -> None:
    one = engine()
    sampling = Sampling(max_tokens=60, temperature=3.0, seed=1)
    replies, tokens = answers(one, [Request(CHAT, sampling, n=4), Request(TEXT, sampling, n=4, read="all")])
    for reply in replies:
        shown = tokens[reply.request, reply.choice]
        assert reply.text == one.model.tokenizer.decode(reply.tokens, skip_special_tokens=True)
        for token in shown[:-1]:
            assert not token.text.endswith("\ufffd") or token.text == "\ufffd" * len(token.text)
        assert reply.whole.text[len(reply.whole.text) - len(reply.text) :] == reply.text
        for start, end in reply.whole.spans:
            assert 0 <= start <= end <= len(reply.whole.text)


def test_tokens_of_one_character_share_its_span() -> None:
    one = engine()
    prompt = encode(one.model.tokenizer, TEXT)
    word = "né→🙂!"
    ids = one.model.tokenizer(word, add_special_tokens=False)["input_ids"]
    from affekt.engines.transformers.reply import _spans
    from affekt.engines.transformers.wording import Wording

    wording = Wording(one.model.tokenizer, before=prompt.ids)
    for id in ids:
        wording.add(id)
    wording.end()
    assert wording.text == word
    spans = _spans(wording, ["text"] * len(ids), 10)
    said = [word[a - 10 : b - 10] for a, b in spans]
    assert said.count("🙂") == 4 and said.count("→") == 3 and said.count("é") == 2
    assert said[0] == "n" and said[-1] == "!"


def test_the_whole_can_go_on_where_it_was_left() -> None:
    one = engine("qwen2")
    [long], _ = answers(one, [Request(CHAT, Sampling(max_tokens=12), bias=STRONG)])
    [short], _ = answers(one, [Request(CHAT, Sampling(max_tokens=5))])
    [rest], _ = answers(one, [Request(short.whole, Sampling(max_tokens=7))])
    [plain], _ = answers(one, [Request(CHAT, Sampling(max_tokens=12))])
    assert short.tokens + rest.tokens == plain.tokens
    assert_greedy(one, long, STRONG)


def test_replies_name_their_request() -> None:
    replies = [
        piece
        for piece in engine().generate(
            [Request(TEXT, Sampling(max_tokens=2), id="a"), Request(TEXT, Sampling(max_tokens=1))]
        )
        if isinstance(piece, Reply)
    ]
    assert {reply.request for reply in replies} == {"a", "1"}
    assert all(opened().tokenizer.decode(reply.tokens) == reply.text for reply in replies)
