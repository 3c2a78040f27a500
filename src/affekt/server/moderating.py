"""The guard for other stacks: `/v1/moderations`, and LiteLLM's generic guardrail API.

Both read a text with the server's own model and compare its highest reading with the policy's thresholds, so
they need a policy; what they say holds for a stack that runs the same model."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from affekt.concepts.source import Source
from affekt.guards.tripwire import Tripwire
from affekt.reading.reading import Reading
from affekt.server.access import Caller, caller, caller_by_x_api_key
from affekt.server.failures import Refused
from affekt.server.service import Service
from affekt.server.wire import Part

__all__ = ["router"]

router = APIRouter()
Known = Annotated[Caller, Depends(caller)]

BLOCKING = ("refuse", "stop", "resample")


class ModerationBody(BaseModel):
    """`POST /v1/moderations`: a text, several, or one in parts."""

    input: (
        str
        | Annotated[list[str], Field(min_length=1, max_length=64)]
        | Annotated[list[Part], Field(min_length=1, max_length=64)]
    )
    model: str | None = None

    @property
    def texts(self) -> list[str]:
        """What is judged, each by itself; parts are one text."""
        if isinstance(self.input, str):
            return [self.input]
        texts = [each for each in self.input if isinstance(each, str)]
        return texts or ["\n".join(each.text for each in self.input if isinstance(each, Part))]


class GuardrailBody(BaseModel):
    """What LiteLLM sends before and after a call."""

    model_config = ConfigDict(extra="allow")

    texts: Annotated[list[str], Field(max_length=256)] | None = None
    input_type: Literal["request", "response"] = "request"
    """Whether these are a client's words or a model's."""


@router.post("/v1/moderations")
async def moderations(request: Request, body: ModerationBody, by: Known) -> dict[str, Any]:
    """Per text: which monitors are beyond their thresholds. A score is 0.5 at the threshold."""
    service: Service = request.app.state.service
    wires = _wires(service)
    service.access.admit(by)
    results = []
    for found in await _checked(service, wires, body.texts):
        results.append(
            {
                "flagged": any(excess > 0 for _, _, excess in found),
                "categories": {wire.monitor.name: excess > 0 for wire, _, excess in found},
                "category_scores": {wire.monitor.name: round(_share(excess), 6) for wire, _, excess in found},
                "category_applied_input_types": {wire.monitor.name: ["text"] for wire, _, _ in found},
                "affekt": {wire.monitor.name: round(value, 4) for wire, value, _ in found},
            }
        )
    return {"id": "modr-" + secrets.token_hex(12), "model": service.name, "results": results}


@router.post("/beta/litellm_basic_guardrail_api")
async def guardrail(
    request: Request, body: GuardrailBody, by: Annotated[Caller, Depends(caller_by_x_api_key)]
) -> dict[str, Any]:
    """Blocks where a monitor whose action would end a reply is beyond its threshold. LiteLLM sends its
    `api_key` as X-Api-Key."""
    service: Service = request.app.state.service
    wires = [wire for wire in _wires(service) if wire.action.do in BLOCKING]
    service.access.admit(by)
    for found in await _checked(service, wires, [text for text in body.texts or () if text.strip()]):
        for wire, value, excess in found:
            if excess > 0:
                name, limit = wire.monitor.name, wire.monitor.threshold
                return {
                    "action": "BLOCKED",
                    "blocked_reason": f"{name}: z {value:.2f}, the limit is {limit:.2f}",
                }
    return {"action": "NONE"}


def _wires(service: Service) -> list[Tripwire]:
    guardian = service.floor.guardian
    if guardian is None:
        raise Refused(404, "this server has no policy; start it with --policy", "no_policy")
    return list(guardian.wires)


async def _checked(
    service: Service, wires: list[Tripwire], texts: list[str]
) -> list[list[tuple[Tripwire, float, float]]]:
    """Per text, each monitor with its worst value and how far that is beyond the threshold."""
    if not texts or not wires:
        return []
    layer = service.floor.policy.layer if service.floor.policy else None
    sources: list[Source] = list(texts)
    readings = await service.reads.run(lambda: service.engine.read(sources, None, layer))
    return [[(wire, *_worst(wire, reading)) for wire in wires] for reading in readings]


def _worst(wire: Tripwire, reading: Reading) -> tuple[float, float]:
    monitor = wire.monitor
    values = monitor.values(reading.content().z, reading.concepts)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), -np.inf
    worst = float(max(values, key=lambda value: monitor.sign * value))
    return worst, monitor.excess(worst)


def _share(excess: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(excess, -50, 50))))
