"""Which tokens are picked."""

from __future__ import annotations

from typing import Any

from affekt.models.prompt import Encoded, encode
from affekt.vectors.collect import content, from_token, prompt_end, role_tokens
from tests.models import tiny_tokenizer

CHAT = [
    {"role": "user", "content": "He was angry"},
    {"role": "assistant", "content": "They were proud"},
    {"role": "user", "content": "She wrote"},
]


def with_roles(*roles: str) -> Encoded:
    made: Any = roles
    return Encoded(tuple(range(len(roles))), ((0, 1),) * len(roles), made, "x")


def test_special_tokens_do_not_count() -> None:
    whole = with_roles("special", "text", "text", "text", "special")
    assert list(from_token(0)(whole)) == [1, 2, 3]
    assert list(from_token(2)(whole)) == [3]
    assert list(from_token(3)(whole)) == []


def test_the_first_token_is_counted_without_bos() -> None:
    text = "The river was calm in the morning and she felt at ease. " * 3
    whole = encode(tiny_tokenizer(), text)
    assert whole.roles[0] == "special"
    assert list(from_token(10)(whole)) == list(range(11, len(whole)))


def test_roles() -> None:
    whole = encode(tiny_tokenizer(), CHAT, generation_prompt=True)
    picked = role_tokens("assistant")(whole)
    assert "".join(whole.text[slice(*whole.spans[at])] for at in picked) == "They were proud"
    assert set(role_tokens("user", "assistant")(whole)) > set(picked)
    assert list(prompt_end(whole)) == [len(whole) - 1] and whole.roles[-1] == "generation"


def test_content_is_the_text_or_the_replies_or_else_what_the_user_says() -> None:
    tokenizer = tiny_tokenizer()
    text = encode(tokenizer, "He was angry and afraid: nobody had told him.")
    assert list(content(5)(text)) == list(from_token(5)(text)) != []
    chat = encode(tokenizer, CHAT)
    assert list(content(5)(chat)) == list(role_tokens("assistant")(chat)) != []
    letter = encode(tokenizer, CHAT[:1], generation_prompt=True)
    assert list(content(5)(letter)) == list(role_tokens("user")(letter)) != []
    assert list(content(500)(text)) == []
