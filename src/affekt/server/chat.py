"""`POST /v1/chat/completions`."""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from affekt.engines.engine import Reply
from affekt.engines.token import Token
from affekt.server.access import Caller, caller
from affekt.server.answer import Answer
from affekt.server.asking import chat_request
from affekt.server.service import Service
from affekt.server.sse import events
from affekt.server.telling import chat_logprobs, finish, own_field, usage
from affekt.server.watching import until_gone
from affekt.server.wire import ChatBody

__all__ = ["router"]

router = APIRouter()


@router.post("/v1/chat/completions")
async def chat(request: Request, body: ChatBody, by: Annotated[Caller, Depends(caller)]) -> Response:
    """Replies to a chat, at once or as a stream."""
    service: Service = request.app.state.service
    asked, wanted = chat_request(service, body, service.access.dial(by))
    service.access.admit(by)
    answer = Answer(service, by, asked, wanted, "chatcmpl-" + secrets.token_hex(12), request.headers)
    frame = {"id": answer.id, "created": int(time.time()), "model": service.name}
    if body.stream:
        return await events(request, _chunks(answer, frame, body.usage_wanted))
    return await until_gone(request, _whole(answer, frame))


async def _whole(answer: Answer, frame: dict[str, Any]) -> Response:
    tokens: dict[int, list[Token]] = defaultdict(list)
    replies: list[Reply] = []
    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            if isinstance(piece, Token):
                tokens[piece.choice].append(piece)
            else:
                replies.append(piece)
    choices = []
    for reply in sorted(replies, key=lambda reply: reply.choice):
        written = [] if reply.replaced else tokens[reply.choice]
        said = [answer.said(token) for token in written]
        own = own_field(answer, reply)
        if any(said):
            own["tokens"] = [{"text": t.text, "z": z} for t, z in zip(written, said, strict=True)]
        choices.append(
            {
                "index": reply.choice,
                "message": {"role": "assistant", "content": reply.text, "refusal": None},
                "logprobs": chat_logprobs(written),
                "finish_reason": finish(reply),
                "affekt": own,
            }
        )
    return JSONResponse({**frame, "object": "chat.completion", "choices": choices, "usage": usage(replies)})


async def _chunks(answer: Answer, frame: dict[str, Any], count: bool) -> AsyncIterator[dict[str, Any]]:
    frame = {**frame, "object": "chat.completion.chunk"}
    if count:
        frame["usage"] = None
    begun: set[int] = set()
    replies: list[Reply] = []

    def chunk(choice: int, delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        if choice not in begun:
            delta = {"role": "assistant", **delta}
            begun.add(choice)
        said = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": None, **more}
        return {**frame, "choices": [said]}

    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            if isinstance(piece, Token):
                more: dict[str, Any] = {"logprobs": chat_logprobs([piece])}
                if z := answer.said(piece):
                    more["affekt"] = {"token": piece.text, "z": z}
                yield chunk(piece.choice, {"content": piece.text}, **more)
                continue
            replies.append(piece)
            # What a guard says instead comes last: its field says that it replaces what came before.
            delta = {"content": piece.text} if piece.replaced else {}
            yield chunk(piece.choice, delta, finish_reason=finish(piece), affekt=own_field(answer, piece))
    if count:
        yield {**frame, "choices": [], "usage": usage(replies)}
