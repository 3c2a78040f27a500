"""A span for each reply, with OpenTelemetry's GenAI conventions, where its library is installed.

Nothing of a prompt or a reply is in a span. A header `traceparent` makes it part of the client's trace."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from affekt.engines.engine import Reply, Request

__all__ = ["failed", "span"]

FINISHES = {"guard": "content_filter"}


def span(
    model: str, request: Request, reply: Reply, seconds: float, headers: Mapping[str, str] | None = None
) -> None:
    """Tells of a finished reply; does nothing without the library.

    Args:
        model: its name.
        request: what was asked.
        reply: what came.
        seconds: from the request to the reply's end.
        headers: the client's, for the trace that it belongs to.
    """
    more = {
        "gen_ai.response.id": reply.request,
        "gen_ai.response.model": model,
        "gen_ai.response.finish_reasons": [FINISHES.get(reply.finish_reason, reply.finish_reason)],
        "gen_ai.usage.input_tokens": reply.prompt_tokens,
        "gen_ai.usage.output_tokens": len(reply.tokens),
        "affekt.events": len(reply.events),
        "affekt.flagged": reply.flagged,
    }
    _tell(model, request, seconds, headers, more)


def failed(
    model: str,
    request: Request,
    id: str,
    error: BaseException,
    seconds: float,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Tells of a request that was taken in and has failed."""
    more = {"gen_ai.response.id": id, "error.type": type(error).__name__}
    _tell(model, request, seconds, headers, more)


def _tell(
    model: str,
    request: Request,
    seconds: float,
    headers: Mapping[str, str] | None,
    more: Mapping[str, Any],
) -> None:
    try:
        from opentelemetry import propagate, trace
    except ImportError:
        return
    now = time.time_ns()
    sampling = request.sampling
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "text_completion" if isinstance(request.source, str) else "chat",
        "gen_ai.provider.name": "affekt",
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "affekt.steered": bool(request.bias),
        **more,
    }
    if sampling.seed is not None:
        attributes["gen_ai.request.seed"] = sampling.seed
    if sampling.stop:
        attributes["gen_ai.request.stop_sequences"] = list(sampling.stop)
    told = trace.get_tracer("affekt.server").start_span(
        f"{attributes['gen_ai.operation.name']} {model}",
        context=propagate.extract(dict(headers or {})),
        kind=trace.SpanKind.SERVER,
        attributes=attributes,
        start_time=now - int(seconds * 1e9),
    )
    if "error.type" in attributes:
        told.set_status(trace.Status(trace.StatusCode.ERROR))
    told.end(now)
