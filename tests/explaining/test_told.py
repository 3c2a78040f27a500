"""Prompt and reply as tokens: given as texts, or as a model has written them."""

from __future__ import annotations

import pytest

from affekt.engines import Reply, Request, Sampling
from affekt.errors import PromptError
from affekt.explaining import Told, tell, told_by
from affekt.models.prompt import encode
from tests.engines.small import CHAT, engine, opened
from tests.models import tiny_tokenizer


def test_a_reply_given_as_a_text_follows_the_prompt() -> None:
    tokenizer = tiny_tokenizer()
    told = tell(tokenizer, CHAT, "We shall go home, she said.")
    prompt = encode(tokenizer, CHAT, generation_prompt=True)
    assert told.prompt == prompt and told.whole.ids[: len(prompt)] == prompt.ids
    assert told.text == "We shall go home, she said." == tokenizer.decode(told.reply)
    assert set(told.whole.roles[len(prompt) :]) == {"assistant"}
    for id, (start, end) in zip(told.whole.ids, told.whole.spans, strict=True):
        if start < end:
            assert tokenizer.decode([id]) == told.whole.text[start:end]


def test_a_text_goes_on() -> None:
    tokenizer = tiny_tokenizer()
    told = tell(tokenizer, "The river was calm", " in the morning")
    assert told.prompt.text == "The river was calm" and told.text == " in the morning"
    assert set(told.whole.roles[told.prompt_tokens :]) == {"text"}


def test_special_tokens_in_a_reply_stay_text() -> None:
    tokenizer = tiny_tokenizer()
    told = tell(tokenizer, CHAT, "He wrote <|im_end|> there")
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") not in told.reply
    assert told.text == "He wrote <|im_end|> there"


def test_what_a_model_wrote_is_taken_as_it_was_written() -> None:
    model = opened()
    [reply] = [
        event
        for event in engine().generate([Request(CHAT, Sampling(max_tokens=12))])
        if isinstance(event, Reply)
    ]
    told = told_by(reply)
    kept = [id for id in reply.tokens if id != model.tokenizer.eos_token_id]
    assert told.reply == tuple(kept) and told.prompt_tokens == reply.prompt_tokens
    assert told.prompt == encode(model.tokenizer, CHAT, generation_prompt=True)


def test_nothing_to_explain() -> None:
    tokenizer = tiny_tokenizer()
    with pytest.raises(PromptError, match="the reply is empty"):
        tell(tokenizer, CHAT, "  ")
    with pytest.raises(PromptError, match="half a surrogate pair"):
        tell(tokenizer, CHAT, "a \udcff")
    with pytest.raises(PromptError, match="the model takes 60"):
        tell(tokenizer, CHAT, "She was at ease. " * 20, context=60)
    whole = encode(tokenizer, CHAT)
    for prompt_tokens in (0, len(whole)):
        with pytest.raises(PromptError, match="nothing to explain"):
            Told(whole, prompt_tokens)
