"""`POST /v1/explain`: which concepts a reply rests on."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from affekt.engines.transformers import TransformersEngine
from affekt.explaining import explain, tell
from affekt.server.access import Caller, caller
from affekt.server.failures import Refused
from affekt.server.service import Service
from affekt.server.wire import Turn

__all__ = ["router"]

router = APIRouter()


class ExplainBody(BaseModel):
    """`POST /v1/explain`."""

    messages: Annotated[list[Turn], Field(min_length=1)]
    reply: Annotated[str, Field(min_length=1, max_length=4000)]
    against: Annotated[str | None, Field(min_length=1, max_length=4000)] = None
    """Another reply to the same chat: why this one and not that one."""
    concepts: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)
    rows: Annotated[int, Field(ge=8, le=2000)] = 200
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


@router.post("/v1/explain")
async def causes(
    request: Request, body: ExplainBody, by: Annotated[Caller, Depends(caller)]
) -> dict[str, Any]:
    """Ranks concepts by what taking them out does to the reply's log-probability."""
    service: Service = request.app.state.service
    engine = service.engine
    if not isinstance(engine, TransformersEngine):
        message = "explanations need an engine that takes other vectors; serve with --engine transformers"
        raise Refused(501, message, "not_with_this_engine")
    vectors = engine.vectors
    if vectors is None:
        raise Refused(404, "this server has no concept vectors", "no_vectors")
    service.access.admit(by)
    turns = [turn.message() for turn in body.messages]
    tokenizer, context = engine.model.tokenizer, engine.model.context

    def run() -> dict[str, Any]:
        found = explain(
            engine,
            vectors,
            tell(tokenizer, turns, body.reply, context),
            lambda wider: TransformersEngine(engine.model, wider),
            against=tell(tokenizer, turns, body.against, context) if body.against else None,
            concepts=body.concepts,
            rows=body.rows,
            seed=body.seed,
        )
        said: dict[str, Any] = found.to_dict()
        return said

    found = await service.explanations.run(run)
    return {"object": "explanation", "model": service.name, **found}
