"""Read, set and audit the emotion concepts inside open-weight language models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from affekt.version import __version__

if TYPE_CHECKING:
    from affekt.concepts import Concept, Corpus
    from affekt.engines import Reply, Request, Sampling, Token, TransformersEngine, extract
    from affekt.errors import AffektError
    from affekt.guards import Policy, guard
    from affekt.models import Model, load
    from affekt.quality import concept_vectors
    from affekt.reading import Reading
    from affekt.vectors import ConceptVectors, Recipe

__all__ = [
    "AffektError",
    "Concept",
    "ConceptVectors",
    "Corpus",
    "Model",
    "Policy",
    "Reading",
    "Recipe",
    "Reply",
    "Request",
    "Sampling",
    "Token",
    "TransformersEngine",
    "__version__",
    "concept_vectors",
    "extract",
    "guard",
    "load",
]

_ROOM = {
    "AffektError": "errors",
    "Concept": "concepts",
    "ConceptVectors": "vectors",
    "Corpus": "concepts",
    "Model": "models",
    "Policy": "guards",
    "Reading": "reading",
    "Recipe": "vectors",
    "Reply": "engines",
    "Request": "engines",
    "Sampling": "engines",
    "Token": "engines",
    "TransformersEngine": "engines",
    "concept_vectors": "quality",
    "extract": "engines",
    "guard": "guards",
    "load": "models",
}


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that `import affekt` costs nothing."""
    if name not in _ROOM:
        raise AttributeError(f"module 'affekt' has no attribute {name!r}")
    return getattr(import_module(f"affekt.{_ROOM[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
