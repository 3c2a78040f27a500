"""What a run over a corpus has found, from all its parts together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from affekt.errors import ModelError
from affekt.models.model import Identity
from affekt.scoring.place import Place
from affekt.scoring.spread import WIDTH
from affekt.scoring.state import Done
from affekt.scoring.survey import Fault
from affekt.scoring.tables import parquet
from affekt.scoring.tally import Tally

__all__ = ["PERCENTILES", "Scores", "merged", "save"]

PERCENTILES = (1, 10, 50, 90, 99, 99.9)
"""The percentiles listed."""


@dataclass(frozen=True)
class Scores:
    """The result of a run."""

    model: Identity
    """What read the corpus."""
    layer: int
    """The layer read."""
    concepts: tuple[str, ...]
    """What was read."""
    tally: Tally
    """Percentiles, moments and strongest passages of all documents."""
    documents: int
    """Documents read."""
    cut: int
    """Those of them whose end was left out."""
    faults: tuple[Fault, ...]
    """What was left out altogether."""

    def strongest(self, count: int) -> list[str]:
        """The concepts whose strongest passage is the strongest."""
        best = [(own[0].z if own else -np.inf) for own in self.tally.strongest.best]
        order = sorted(range(len(best)), key=lambda column: -best[column])
        return [self.concepts[column] for column in order[:count]]

    def passages(self) -> dict[str, list[Any]]:
        """The strongest passages as columns of a table."""
        columns: dict[str, list[Any]] = {
            name: [] for name in ("concept", "place", "z", "id", "token", "word", "passage")
        }
        for concept, own in zip(self.concepts, self.tally.strongest.best, strict=True):
            for place, one in enumerate(own, 1):
                row = (concept, place, one.z, one.id, one.token, one.word, one.text)
                for name, value in zip(columns, row, strict=True):
                    columns[name].append(value)
        return columns

    def percentiles(self) -> dict[str, list[Any]]:
        """By concept: tokens, documents, mean z, its margin (95 %, documents as clusters), deviation, least,
        percentiles and greatest."""
        spread, moments = self.tally.spread, self.tally.moments
        cut = spread.percentiles(PERCENTILES)
        count = len(self.concepts)
        return {
            "concept": list(self.concepts),
            "tokens": [spread.tokens] * count,
            "documents": [moments.documents] * count,
            "mean": moments.mean().tolist(),
            "margin": moments.margin().tolist(),
            "std": moments.std().tolist(),
            "min": spread.low.tolist(),
            **{f"p{q:g}": row.tolist() for q, row in zip(PERCENTILES, cut, strict=True)},
            "max": spread.high.tolist(),
        }


def merged(
    parts: Sequence[Done], concepts: Sequence[str], layer: int, faults: Sequence[Fault], kept: int
) -> Scores:
    """All parts as one, in their order, so that the result is the same whoever read them.

    Raises:
        ModelError: the parts were not all read by one model in one precision.
    """
    models = list(dict.fromkeys(part.model for part in parts))
    if len(models) > 1:
        one, other = ((model.name, model.weights_sha256[:12], model.dtype) for model in models[:2])
        raise ModelError(f"some parts were read by {one}, others by {other}; remove the results, start again")
    tally = Tally.empty(len(concepts), kept)
    for part in parts:
        tally = tally.merge(part.tally)
    return Scores(
        model=models[0],
        layer=layer,
        concepts=tuple(concepts),
        tally=tally,
        documents=sum(part.documents for part in parts),
        cut=sum(part.cut for part in parts),
        faults=(*faults, *(fault for part in parts for fault in part.faults)),
    )


def save(scores: Scores, out: Place, facts: Mapping[str, Any]) -> None:
    """Writes `passages.parquet`, `percentiles.parquet` and, last, `summary.json`.

    Raises:
        StorageError: they cannot be written.
    """
    import pyarrow as pa

    out.write("passages.parquet", parquet(pa.table(scores.passages())))
    out.write("percentiles.parquet", parquet(pa.table(scores.percentiles())))
    summary = {
        "model": asdict(scores.model),
        "layer": scores.layer,
        "documents": scores.documents,
        "cut": scores.cut,
        "tokens": scores.tally.spread.tokens,
        "left_out": [str(fault) for fault in scores.faults],
        "percentiles_within": WIDTH,
        "settings": dict(facts),
    }
    out.write("summary.json", (json.dumps(summary, indent=1) + "\n").encode())
