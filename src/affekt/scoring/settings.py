"""What a run over a corpus is asked for, and what of that its results depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from affekt.errors import CorpusError
from affekt.scoring.document import Columns
from affekt.scoring.strongest import KEPT
from affekt.scoring.survey import PART
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What is asked for."""

    model: str
    """Name of the model, as `load` takes it; each worker opens it."""
    engine: str = "transformers"
    """Name of the engine."""
    dtype: str = "auto"
    """The model's precision."""
    sibling: bool = False
    """Allow vectors of another model of the same shape."""
    columns: Columns = field(default_factory=Columns)
    """Where in a record a document is."""
    concepts: tuple[str, ...] | None = None
    """Concepts to read; None is all."""
    layer: int | None = None
    """Layer to read; None is the vectors' own."""
    per_token: bool = False
    """Whether every token's readings are written too."""
    max_tokens: int | None = None
    """Tokens read of a document; None is the model's context. The rest is left out, and the document marked
    so."""
    skip: bool = False
    """Leave out what cannot be used."""
    part: int = PART
    """Most documents of a part."""
    kept: int = KEPT
    """Passages kept for each concept."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the engine, as `open_engine` takes them."""

    def __post_init__(self) -> None:
        for name in ("part", "kept", "max_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise CorpusError(f"{name} is {value}; give 1 or more")

    def chosen(self, vectors: ConceptVectors) -> tuple[str, ...]:
        """The concepts to read, each once.

        Raises:
            UnknownConcept: the vectors do not hold one.
            VectorsError: they do not hold the layer.
        """
        if self.layer is not None:
            vectors.place(self.layer)
        for name in self.concepts or ():
            vectors.index(name)
        return tuple(dict.fromkeys(self.concepts)) if self.concepts else vectors.names

    def facts(self, vectors: ConceptVectors, corpus: str) -> Mapping[str, Any]:
        """Everything that the results depend on, in JSON's types.

        Args:
            vectors: the concept vectors.
            corpus: the survey's digest.
        """
        known: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if not self.options:
            del known["options"]
        known["concepts"] = list(self.chosen(vectors))
        known["layer"] = vectors.read_layer if self.layer is None else self.layer
        return {**known, "vectors": _digest(vectors), "corpus": corpus}


def _digest(vectors: ConceptVectors) -> str:
    """Hash of what reading takes from vectors."""
    total = hashlib.sha256(
        json.dumps([vectors.names, vectors.layers, asdict(vectors.provenance.model)]).encode()
    )
    for tensor in (vectors.weight, vectors.mean, vectors.std, vectors.projected):
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()
