"""Replies in the shapes of the OpenAI API, with Affekt's field beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affekt.engines.engine import Reply
from affekt.engines.token import Token, TopToken
from affekt.server.answer import Answer

__all__ = ["chat_logprobs", "finish", "own_field", "plain_logprobs", "usage"]

FINISHES = {"stop": "stop", "length": "length", "guard": "content_filter", "cancelled": "length"}
"""The engine's words in the API's; a reply that is cancelled is so by the server's time limit."""


def finish(reply: Reply) -> str:
    """Why a reply ended, in the API's words."""
    return FINISHES[reply.finish_reason]


def usage(replies: Sequence[Reply]) -> dict[str, Any]:
    """Tokens of a request: the prompt once, however many replies it has."""
    prompts = {reply.request: reply.prompt_tokens for reply in replies}
    prompt, written = sum(prompts.values()), sum(len(reply.tokens) for reply in replies)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def own_field(answer: Answer, reply: Reply) -> dict[str, Any]:
    """Affekt's field of a finished reply: what was read, what the guard did."""
    field: dict[str, Any] = {
        "events": [event.to_dict() for event in reply.events],
        "flagged": reply.flagged,
        "replaced": reply.replaced,
    }
    if reply.reading is not None:
        field |= {"layer": reply.reading.layer, "summary": answer.readings(reply)}
    return field


def chat_logprobs(tokens: Sequence[Token]) -> dict[str, Any] | None:
    """`logprobs` of a chat; None where they were not asked for."""
    if not tokens or tokens[0].logprob is None:
        return None
    return {
        "content": [
            {**_one(token.text, token.logprob), "top_logprobs": [_top(top) for top in token.top_logprobs]}
            for token in tokens
        ],
        "refusal": None,
    }


def plain_logprobs(tokens: Sequence[Token], offset: int = 0) -> dict[str, Any] | None:
    """`logprobs` of a completion; None where they were not asked for."""
    if not tokens or tokens[0].logprob is None:
        return None
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    tops: list[Mapping[str, float]] = [
        {top.text: top.logprob for top in token.top_logprobs} for token in tokens
    ]
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": tops if any(tops) else None,
        "text_offset": offsets,
    }


def _top(top: TopToken) -> dict[str, Any]:
    return _one(top.text, top.logprob)


def _one(text: str, logprob: float | None) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}
