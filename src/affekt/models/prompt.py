"""A text or chat as token ids, each token with its place in the text and its role."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from transformers import PreTrainedTokenizerBase

from affekt.concepts.source import Source
from affekt.errors import PromptError
from affekt.models.rendering import Region, Rendered, Role, render

__all__ = ["Encoded", "Role", "encode", "require_text"]


@dataclass(frozen=True)
class Encoded:
    """A source as the model gets it; `ids`, `spans` and `roles` are of one length."""

    ids: tuple[int, ...]
    """Token ids, special ones included."""
    spans: tuple[tuple[int, int], ...]
    """Per token, its characters in `text`; empty for a token that stands for no character, such as BOS."""
    roles: tuple[Role, ...]
    """Per token, whose words it is."""
    text: str
    """The plain text, or the chat as its template renders it."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class _Token:
    id: int
    start: int
    end: int


def encode(
    tokenizer: PreTrainedTokenizerBase,
    source: Source,
    generation_prompt: bool = False,
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    context: int | None = None,
) -> Encoded:
    """Tokenises a text or chat once, whole, as the model was trained to see it.

    A plain text gets the tokenizer's own special tokens, and never a second BOS. A chat goes through the
    template; a special token's text inside a message stays text and cannot end a turn.

    Args:
        tokenizer: a fast tokenizer, which knows the spans.
        source: a text, or messages with `role` and `content`.
        generation_prompt: whether the start of the assistant's reply is added to a chat; its tokens have the
            role `generation`, the last of them is the prompt's end. A plain text is continued as it is.
        tools: JSON schemas of functions, for templates that show them.
        context: the longest sequence the model takes, in tokens.

    Raises:
        PromptError: for an empty text or chat, what is no Unicode, an unknown role, a chat that the template
            refuses, or too many tokens.
    """
    if isinstance(source, str):
        require_text(source)
        encoded = _encode_text(tokenizer, source)
    else:
        rendered = render(tokenizer, source, generation_prompt, tools)
        require_text(rendered.text)
        encoded = _encode_chat(tokenizer, rendered)
    if context is not None and len(encoded) > context:
        raise PromptError(
            f"the prompt has {len(encoded):,} tokens, the model takes {context:,}; shorten it by "
            f"{len(encoded) - context:,}"
        )
    return encoded


def require_text(text: str) -> None:
    """Raises PromptError for half a surrogate pair, which JSON can spell and no tokenizer takes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PromptError(
            f"the text holds half a surrogate pair at character {error.start:,}; take it out"
        ) from error


def _encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> Encoded:
    if not text.strip():
        raise PromptError("the text is empty; give at least one word")
    tokens = _tokens(tokenizer, text, special=True)
    if len(tokens) > 1 and tokens[0].id == tokens[1].id == tokenizer.bos_token_id:
        tokens = _tokens(tokenizer, text, special=False)
    known = _special_ids(tokenizer)
    roles: tuple[Role, ...] = tuple("special" if token.id in known else "text" for token in tokens)
    return _encoded(tokens, roles, text)


def _encode_chat(tokenizer: PreTrainedTokenizerBase, rendered: Rendered) -> Encoded:
    # A template carries its own BOS; without one it is the tokenizer's to add.
    tokens = _tokens(tokenizer, rendered.text, special=not tokenizer.chat_template)
    known, starts = _special_ids(tokenizer), [region.start for region in rendered.regions]
    tokens = [part for token in tokens for part in _defused(tokenizer, token, rendered, known, starts)]
    roles = tuple(_role(token, rendered.regions, starts, known) for token in tokens)
    return _encoded(tokens, roles, rendered.text)


def _defused(
    tokenizer: PreTrainedTokenizerBase,
    token: _Token,
    rendered: Rendered,
    known: frozenset[int],
    starts: Sequence[int],
) -> list[_Token]:
    """The token itself; or, for a special token written inside a message, the plain tokens of its text."""
    region = _overlap(token, rendered.regions, starts) if token.id in known else None
    if region is None or region.role == "generation":
        return [token]
    parts = _tokens(tokenizer, rendered.text[token.start : token.end], special=False, split=True)
    return [_Token(part.id, part.start + token.start, part.end + token.start) for part in parts]


def _role(token: _Token, regions: Sequence[Region], starts: Sequence[int], known: frozenset[int]) -> Role:
    region = _overlap(token, regions, starts)
    if region is not None:
        return region.role
    return "special" if token.id in known else "template"


def _overlap(token: _Token, regions: Sequence[Region], starts: Sequence[int]) -> Region | None:
    """The region that holds at least half of the token's characters, such as `Hi` of ` Hi` after a colon."""
    last = bisect_right(starts, token.end - 1)
    for region in regions[max(0, last - 2) : last]:
        shared = min(token.end, region.end) - max(token.start, region.start)
        if shared > 0 and 2 * shared >= token.end - token.start:
            return region
    return None


def _tokens(
    tokenizer: PreTrainedTokenizerBase, text: str, special: bool, split: bool = False
) -> list[_Token]:
    batch = tokenizer(
        text,
        add_special_tokens=special,
        return_offsets_mapping=True,
        split_special_tokens=split,
        truncation=False,
        verbose=False,
    )
    tokens, reached = [], 0
    for id, (start, end) in zip(batch["input_ids"], batch["offset_mapping"], strict=True):
        # Some tokenizers leave the space before a word out of its span; it belongs to the token.
        if start < end and text[reached:start].isspace():
            start = reached
        tokens.append(_Token(id, start, end))
        reached = max(reached, end)
    return tokens


def _encoded(tokens: Sequence[_Token], roles: tuple[Role, ...], text: str) -> Encoded:
    return Encoded(
        ids=tuple(token.id for token in tokens),
        spans=tuple((token.start, token.end) for token in tokens),
        roles=roles,
        text=text,
    )


@lru_cache(maxsize=8)
def _special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    added = tokenizer.added_tokens_decoder
    return frozenset(id for id, token in added.items() if token.special) | frozenset(
        tokenizer.all_special_ids
    )
