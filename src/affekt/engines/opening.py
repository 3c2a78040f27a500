"""Opening an engine by its name: what commands and workers call, so that they know no engine."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast, runtime_checkable

from transformers import PreTrainedTokenizerBase

from affekt.engines.engine import Engine
from affekt.errors import ModelError, closest
from affekt.models.model import Identity
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["ENGINES", "OpenedEngine", "open_engine"]

ENGINES = {"transformers": "affekt.engines.transformers.opening"}
"""Name of each engine, and the module whose `open_engine(model, vectors, dtype, sibling)` opens it; imported
on use, since an engine may need an extra that is not installed."""


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
    opened = import_module(ENGINES[engine]).open_engine(model, vectors, dtype, sibling)
    return cast(OpenedEngine, opened)
