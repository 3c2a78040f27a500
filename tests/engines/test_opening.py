"""Engines by their names."""

from __future__ import annotations

import pytest

from affekt.engines import TransformersEngine, open_engine, opening
from affekt.engines.opening import ENGINES
from affekt.errors import ModelError, VectorsError
from tests.engines.small import opened, vectors_for
from tests.models import tiny


def test_the_transformers_engine_opens_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened()
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(opening, "load", lambda *words: asked.append(words) or model)
    vectors = vectors_for(model)
    engine = open_engine("transformers", "some/model", vectors, dtype="float32")
    assert isinstance(engine, TransformersEngine)
    assert asked == [("some/model", "float32")] and engine.vectors is vectors
    assert engine.identity == model.identity and engine.context == model.context
    assert engine.tokenizer is model.tokenizer


def test_vectors_of_another_model_are_refused_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = opened(), tiny("llama", seed=5)
    monkeypatch.setattr(opening, "load", lambda *_: other)
    with pytest.raises(VectorsError, match="these vectors were extracted from"):
        open_engine("transformers", "m", vectors_for(model))
    assert open_engine("transformers", "m", vectors_for(model), sibling=True).identity == other.identity


def test_options_reach_vllm_and_no_other_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, object]] = []
    monkeypatch.setattr(opening.VLLMEngine, "__init__", lambda *_, **more: given.append(more))
    open_engine(
        "vllm", "m", dtype="float32", options={"context": 64, "tensor_parallel_size": 2, "sibling": True}
    )
    assert given == [
        {"dtype": "float32", "sibling": True, "batch_size": 16, "context": 64, "tensor_parallel_size": 2}
    ]
    with pytest.raises(ModelError, match="dtype is no further option"):
        open_engine("vllm", "m", options={"dtype": "float32"})
    with pytest.raises(ModelError, match="context: options of the vLLM engine"):
        open_engine("transformers", "m", options={"context": 64})


def test_an_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="unknown engine 'transformer'; did you mean 'transformers'"):
        open_engine("transformer", "m")
    with pytest.raises(ModelError, match=f"the engines are {', '.join(ENGINES)}"):
        open_engine("zzz", "m")
