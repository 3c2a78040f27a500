"""Opening an engine by its name: what commands and workers call, so that they know no engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from affekt.engines.transformers.engine import TransformersEngine
from affekt.engines.vllm.engine import VLLMEngine
from affekt.errors import ModelError, closest
from affekt.models import load
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["ENGINES", "AnyEngine", "known_engine", "open_engine"]

ENGINES = ("transformers", "vllm")
"""What may run a model."""

AnyEngine: TypeAlias = TransformersEngine | VLLMEngine
"""An opened one of `ENGINES`; whoever opened it closes it."""


def known_engine(name: str) -> None:
    """Refuses an engine that is none of `ENGINES`; raises ModelError."""
    if name not in ENGINES:
        hint = closest(name, ENGINES) or f"; the engines are {', '.join(ENGINES)}"
        raise ModelError(f"unknown engine {name!r}{hint}")


def open_engine(
    engine: str,
    model: str,
    vectors: ConceptVectors | None = None,
    *,
    dtype: str = "auto",
    sibling: bool = False,
    batch_size: int = 16,
    options: Mapping[str, Any] | None = None,
) -> AnyEngine:
    """Opens a model on the engine of a name.

    Args:
        engine: one of `ENGINES`.
        model: a short name, a Hugging Face id, a folder or a GGUF file.
        vectors: concept vectors; only what neither reads nor steers does without.
        dtype: `bfloat16`, `float16`, `float32`, or `auto`.
        sibling: allow vectors of another model of the same shape, as base and tuned are.
        batch_size: most replies written at once; most texts that vLLM runs at once.
        options: further arguments of `VLLMEngine` and, through it, of vLLM, such as `context`,
            `tensor_parallel_size` or `quantization`; the transformers engine takes none.

    Raises:
        ModelError: for an unknown engine, one that is not installed, a model that cannot be opened, or an
            option that the engine has not.
        VectorsError: for vectors of another model.
    """
    known_engine(engine)
    if engine == "vllm":
        for name in {"dtype", "batch_size"} & set(options or ()):
            raise ModelError(f"{name} is no further option of the engine; it is given by itself")
        given: dict[str, Any] = {"dtype": dtype, "sibling": sibling, "batch_size": batch_size}
        return VLLMEngine(model, vectors, **given | dict(options or {}))
    if options:
        raise ModelError(
            f"{', '.join(options)}: options of the vLLM engine; the transformers engine has none"
        )
    return TransformersEngine(load(model, dtype), vectors, sibling=sibling, batch_size=batch_size)
