"""A span for each reply, with OpenTelemetry's GenAI conventions, where its library is installed.

Nothing of a prompt or a reply is in a span."""

from __future__ import annotations

import time
from typing import Any

from affekt.engines.engine import Reply, Request

__all__ = ["span"]


def span(model: str, request: Request, reply: Reply, seconds: float) -> None:
    """Tells of a finished reply; does nothing without the library.

    Args:
        model: its name.
        request: what was asked.
        reply: what came.
        seconds: from the request to the reply's end.
    """
    try:
        from opentelemetry import trace
    except ImportError:
        return
    now = time.time_ns()
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "text_completion" if isinstance(request.source, str) else "chat",
        "gen_ai.provider.name": "affekt",
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": request.sampling.max_tokens,
        "gen_ai.request.temperature": request.sampling.temperature,
        "gen_ai.request.top_p": request.sampling.top_p,
        "gen_ai.response.id": reply.request,
        "gen_ai.response.model": model,
        "gen_ai.response.finish_reasons": [reply.finish_reason],
        "gen_ai.usage.input_tokens": reply.prompt_tokens,
        "gen_ai.usage.output_tokens": len(reply.tokens),
        "affekt.steered": bool(request.bias),
        "affekt.events": len(reply.events),
    }
    tracer = trace.get_tracer("affekt.server")
    kind = trace.SpanKind.SERVER
    name = f"{attributes['gen_ai.operation.name']} {model}"
    told = tracer.start_span(name, kind=kind, attributes=attributes, start_time=now - int(seconds * 1e9))
    told.end(now)
