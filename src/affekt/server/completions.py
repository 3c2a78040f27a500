"""`POST /v1/completions`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from affekt.engines.engine import Reply
from affekt.engines.token import Token
from affekt.errors import AffektError
from affekt.server.access import Caller, caller
from affekt.server.answer import Answer
from affekt.server.asking import completion_requests
from affekt.server.service import Service
from affekt.server.sse import events
from affekt.server.telling import finish, own_field, plain_logprobs, usage
from affekt.server.watching import until_gone
from affekt.server.wire import CompletionBody

__all__ = ["router"]

router = APIRouter()


@router.post("/v1/completions")
async def completions(
    request: Request, body: CompletionBody, by: Annotated[Caller, Depends(caller)]
) -> Response:
    """Goes on with texts, at once or as a stream."""
    service: Service = request.app.state.service
    made, wanted = completion_requests(service, body, service.access.dial(by))
    service.access.admit(by)
    id = "cmpl-" + secrets.token_hex(12)
    answers: list[Answer] = []
    try:
        for at, asked in enumerate(made):
            own = id if len(made) == 1 else f"{id}-{at}"
            answers.append(Answer(service, by, asked, wanted, own, request.headers))
    except AffektError:
        for answer in answers:
            answer.cancel()
        raise
    frame = {"id": id, "object": "text_completion", "created": int(time.time()), "model": service.name}
    if body.stream:
        return await events(request, _chunks(answers, body, frame))
    return await until_gone(request, _whole(answers, body, frame))


async def _whole(answers: list[Answer], body: CompletionBody, frame: dict[str, Any]) -> Response:
    choices: list[dict[str, Any]] = []
    replies: list[Reply] = []
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(aclosing(answer.pieces())) for answer in answers]
        for at, (answer, pieces) in enumerate(zip(answers, streams, strict=True)):
            tokens: dict[int, list[Token]] = defaultdict(list)
            own: list[Reply] = []
            async for piece in pieces:
                if isinstance(piece, Token):
                    tokens[piece.choice].append(piece)
                else:
                    own.append(piece)
            head = body.prompts[at] if body.echo else ""
            for reply in sorted(own, key=lambda reply: reply.choice):
                written = [] if reply.replaced else tokens[reply.choice]
                choices.append(
                    {
                        "index": at * body.n + reply.choice,
                        "text": head + reply.text,
                        "logprobs": plain_logprobs(written, len(head)),
                        "finish_reason": finish(reply),
                        "affekt": own_field(answer, reply),
                    }
                )
            replies += own
    return JSONResponse({**frame, "choices": choices, "usage": usage(replies)})


async def _chunks(
    answers: list[Answer], body: CompletionBody, frame: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    queue: asyncio.Queue[tuple[int, Token | Reply] | BaseException | None] = asyncio.Queue()

    async def feed(at: int) -> None:
        try:
            async with aclosing(answers[at].pieces()) as pieces:
                async for piece in pieces:
                    queue.put_nowait((at, piece))
            queue.put_nowait(None)
        except Exception as error:
            queue.put_nowait(error)

    tasks = [asyncio.create_task(feed(at)) for at in range(len(answers))]
    replies: list[Reply] = []
    left, begun = len(tasks), set()
    offsets: dict[int, int] = defaultdict(int)
    if body.usage_wanted:
        frame = {**frame, "usage": None}
    try:
        while left:
            got = await queue.get()
            if isinstance(got, BaseException):
                raise got
            if got is None:
                left -= 1
                continue
            at, piece = got
            index = at * body.n + piece.choice
            head = body.prompts[at] if body.echo and index not in begun else ""
            begun.add(index)
            choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": None}
            if isinstance(piece, Token):
                choice |= {"text": head + piece.text, "logprobs": plain_logprobs([piece], offsets[index])}
                offsets[index] += len(head) + len(piece.text)
                if z := answers[at].said(piece):
                    choice["affekt"] = {"token": piece.text, "z": z}
            else:
                replies.append(piece)
                choice |= {"text": head + piece.text if piece.replaced else head}
                choice |= {"finish_reason": finish(piece), "affekt": own_field(answers[at], piece)}
            yield {**frame, "choices": [choice]}
        if body.usage_wanted:
            yield {**frame, "choices": [], "usage": usage(replies)}
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
