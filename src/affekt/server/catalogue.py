"""`/v1/models` and `/v1/emotions`: what there is."""

from __future__ import annotations

import asyncio
import math
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from affekt.guards.calibration import Calibration
from affekt.guards.policy import Rule
from affekt.server.access import Caller, caller
from affekt.server.failures import Refused
from affekt.server.service import Service

__all__ = ["router"]

router = APIRouter()
Known = Annotated[Caller, Depends(caller)]


@router.get("/v1/models")
async def models(request: Request, _by: Known) -> dict[str, Any]:
    """The model that runs here."""
    return {"object": "list", "data": [_model(request.app.state.service)]}


@router.get("/v1/models/{name:path}")
async def model(request: Request, name: str, _by: Known) -> dict[str, Any]:
    """One model."""
    service: Service = request.app.state.service
    if name not in service.names:
        raise Refused(
            404, f"the model {name!r} is not here; this server runs {service.name!r}", "model_not_found"
        )
    return _model(service)


@router.get("/v1/emotions")
async def emotions(request: Request, by: Known) -> dict[str, Any]:
    """The concepts, what the policy watches, and how good the vectors are."""
    service: Service = request.app.state.service
    vectors = service.engine.vectors
    if vectors is None:
        raise Refused(404, "this server has no concept vectors", "no_vectors")
    places = await asyncio.to_thread(lambda: service.places)
    policy, calibration = service.floor.policy, service.floor.calibration
    return {
        "model": service.name,
        "read_layer": vectors.read_layer,
        "max_dial": service.access.dial(by).most,
        "concepts": [
            {
                "name": concept.name,
                "kind": concept.kind,
                "cluster": concept.cluster,
                "valence": concept.valence,
                "arousal": concept.arousal,
                "place": place,
                "dose": dose if math.isfinite(dose) else None,
            }
            for concept, dose, place in zip(vectors.concepts, vectors.doses.tolist(), places, strict=True)
        ],
        "monitors": [_monitor(service, rule) for rule in policy.monitors] if policy else [],
        "card": dict(vectors.card) or None,
        "calibration": _calibration(calibration) if calibration is not None else None,
    }


def _model(service: Service) -> dict[str, Any]:
    return {"id": service.name, "object": "model", "created": service.started, "owned_by": "affekt"}


def _calibration(calibration: Calibration) -> dict[str, Any]:
    """What the thresholds rest on."""
    return {
        "layer": calibration.layer,
        "monitors": [
            {
                "name": each.monitor.name,
                "dialogues": len(each.scores),
                "rates": list(each.rates),
                "confidence": each.confidence,
            }
            for each in calibration.monitors
        ],
    }


def _monitor(service: Service, rule: Rule) -> dict[str, Any]:
    guardian = service.floor.guardian
    wires = {wire.monitor.name: wire for wire in guardian.wires} if guardian else {}
    wire = wires.get(rule.name)
    return {
        "name": rule.name,
        "position": rule.monitor().position,
        "direction": rule.direction,
        "what": rule.what,
        "threshold": wire.monitor.threshold if wire is not None else rule.threshold,
        "rate": rule.rate,
        "action": rule.action.do,
    }
