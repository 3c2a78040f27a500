"""OpenTelemetry spans of replies."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.server.running import Running


def test_a_reply_is_a_span_without_its_words(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    got = server.chat("A secret of mine", max_tokens=3, emotion_bias={"calm": 0.5}).json()
    [span] = exporter.get_finished_spans()
    assert span.name == "chat tiny-llama" and span.end_time > span.start_time
    told = dict(span.attributes)
    assert told["gen_ai.response.id"] == got["id"] and told["affekt.steered"] is True
    assert told["gen_ai.usage.output_tokens"] == got["usage"]["completion_tokens"]
    assert told["gen_ai.usage.input_tokens"] == got["usage"]["prompt_tokens"]
    assert "secret" not in str(told)
