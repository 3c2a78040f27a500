"""Opening an engine by its name: what commands and workers call, so that they know no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from transformers import PreTrainedTokenizerBase

from affekt.engines.engine import Engine
from affekt.engines.transformers.engine import TransformersEngine
from affekt.errors import ModelError, closest
from affekt.models import load
from affekt.models.model import Identity
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["ENGINES", "OpenedEngine", "open_engine"]


@runtime_checkable
class OpenedEngine(Engine, Protocol):
    """An engine with the facts about its model that work around the verbs needs."""

    @property
    def identity(self) -> Identity:
        """Of the opened model."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's; a fast one."""

    @property
    def context(self) -> int:
        """The longest sequence it takes, in tokens."""


def open_engine(
    engine: str,
    model: str,
    vectors: ConceptVectors | None = None,
    *,
    dtype: str = "auto",
    sibling: bool = False,
) -> OpenedEngine:
    """Opens a model on the engine of a name.

    Args:
        engine: one of `ENGINES`.
        model: a short name, a Hugging Face id, a folder or a GGUF file.
        vectors: concept vectors; only what neither reads nor steers does without.
        dtype: `bfloat16`, `float16`, `float32`, or `auto`.
        sibling: allow vectors of another model of the same shape, as base and tuned are.

    Raises:
        ModelError: for an unknown engine, one that is not installed, or a model that cannot be opened.
        VectorsError: for vectors of another model.
    """
    if engine not in ENGINES:
        hint = closest(engine, ENGINES) or f"; the engines are {', '.join(ENGINES)}"
        raise ModelError(f"unknown engine {engine!r}{hint}")
    return ENGINES[engine](model, vectors, dtype, sibling)


def _transformers(model: str, vectors: ConceptVectors | None, dtype: str, sibling: bool) -> OpenedEngine:
    return TransformersEngine(load(model, dtype), vectors, sibling=sibling)


def _vllm(model: str, vectors: ConceptVectors | None, dtype: str, sibling: bool) -> OpenedEngine:
    from affekt.engines.vllm import VLLMEngine  # needs what the extra brings

    return VLLMEngine(model, vectors, dtype=dtype, sibling=sibling)


ENGINES: Mapping[str, Callable[[str, ConceptVectors | None, str, bool], OpenedEngine]] = {
    "transformers": _transformers,
    "vllm": _vllm,
}
"""What opens each engine, by its name."""
