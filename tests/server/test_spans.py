"""OpenTelemetry spans of replies."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from affekt.server.store import StoreError
from tests.server.running import Running


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


def test_a_span_belongs_to_the_clients_trace(server: Running, exporter: InMemorySpanExporter) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "seed": 7, "stop": "zzz"}
    got = server.http.post("/v1/chat/completions", json=body, headers={"traceparent": parent})
    assert got.status_code == 200
    [span] = exporter.get_finished_spans()
    assert f"{span.context.trace_id:032x}" == parent.split("-")[1]
    assert f"{span.parent.span_id:016x}" == parent.split("-")[2]
    assert span.attributes["gen_ai.request.seed"] == 7
    assert span.attributes["gen_ai.request.stop_sequences"] == ("zzz",)


def test_a_failure_is_a_span_with_an_error(
    server: Running, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: object) -> None:
        raise StoreError("the database fails")

    monkeypatch.setattr(server.service.trail, "record", fails)
    assert server.chat().status_code == 503
    [span] = exporter.get_finished_spans()
    assert span.attributes["error.type"] == "Refused" and not span.status.is_ok


def test_a_reply_is_a_span_without_its_words(server: Running, exporter: InMemorySpanExporter) -> None:
    got = server.chat("A secret of mine", max_tokens=3, emotion_bias={"calm": 0.5}).json()
    [span] = exporter.get_finished_spans()
    assert span.name == "chat tiny-llama" and span.end_time > span.start_time
    told = dict(span.attributes)
    assert told["gen_ai.response.id"] == got["id"] and told["affekt.steered"] is True
    assert told["gen_ai.usage.output_tokens"] == got["usage"]["completion_tokens"]
    assert told["gen_ai.usage.input_tokens"] == got["usage"]["prompt_tokens"]
    assert "secret" not in str(told)
