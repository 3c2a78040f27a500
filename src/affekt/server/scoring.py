"""`POST /v1/read`: what a text or a chat reads like, without a reply."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, model_validator

from affekt.errors import PromptError
from affekt.server.access import Caller, caller
from affekt.server.emotions_asked import asked
from affekt.server.service import Service
from affekt.server.wire import Turn

__all__ = ["router"]

router = APIRouter()


class ReadBody(BaseModel):
    """`POST /v1/read`: either a text or a chat."""

    text: str | None = None
    messages: Annotated[list[Turn], Field(min_length=1)] | None = None
    emotions: list[str] | Literal["all"] = Field(default_factory=lambda: ["top-5"])
    generation_prompt: bool = False
    """Whether a chat is read up to where the assistant would begin."""

    @model_validator(mode="after")
    def _one(self) -> ReadBody:
        if (self.text is None) == (self.messages is None):
            raise ValueError("give either 'text' or 'messages'")
        return self


@router.post("/v1/read")
async def read(request: Request, body: ReadBody, by: Annotated[Caller, Depends(caller)]) -> dict[str, Any]:
    """Every token's readings, and their summary."""
    service: Service = request.app.state.service
    vectors = service.engine.vectors
    if vectors is None:
        raise PromptError("this server has no concept vectors to read with")
    wanted = asked(body.emotions, vectors.names)
    if wanted is None:
        raise PromptError("emotions: name at least one, or 'all'")
    service.access.admit(by)
    source = body.text if body.text is not None else [turn.message() for turn in body.messages or ()]
    [reading] = await service.reads.run(
        lambda: service.engine.read([source], wanted.read, generation_prompt=body.generation_prompt)
    )
    return {
        "object": "reading",
        "model": service.name,
        "layer": reading.layer,
        "tokens": [
            {"text": token, "span": list(span), "role": role, "z": wanted.told(z)}
            for token, span, role, z in zip(
                reading.tokens, reading.spans, reading.roles, reading.z, strict=True
            )
        ],
        "summary": wanted.summed(reading, list(range(len(reading)))),
    }
