"""Opening a model by its name on the engine of this process."""

from __future__ import annotations

from affekt.engines.transformers.engine import TransformersEngine
from affekt.models import load
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["open_engine"]


def open_engine(
    model: str, vectors: ConceptVectors | None = None, dtype: str = "auto", sibling: bool = False
) -> TransformersEngine:
    """See `affekt.engines.opening.open_engine`."""
    return TransformersEngine(load(model, dtype), vectors, sibling=sibling)
