"""A tiny random model with vectors of the 171 emotions: every study runs on it, and none should find much."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

from affekt.concepts import Concept, emotions
from affekt.models.model import Model
from affekt.studies import Lab, run
from affekt.studies.result import Result
from affekt.vectors import ConceptVectors
from affekt.vectors.provenance import Provenance
from tests.models import TEMPLATE, tiny


def vectors_of(model: Model, seed: int = 0, concepts: tuple[Concept, ...] | None = None) -> ConceptVectors:
    generator = torch.Generator().manual_seed(seed)
    concepts, width = concepts or emotions(), model.identity.d_model

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    raw = draw(2, len(concepts), width)
    return ConceptVectors(
        concepts=concepts,
        layers=(1, 2),
        raw=raw,
        projected=raw + 0.1 * draw(*raw.shape),
        whitened=raw + 0.1 * draw(*raw.shape),
        weight=raw / raw.norm(dim=-1, keepdim=True),
        mean=draw(2, 4, len(concepts)) * 0.1,
        std=draw(2, 4, len(concepts)).abs() + 2,
        norms=torch.tensor([6.0, 6.0]),
        doses=torch.full((len(concepts),), 0.2),
        read_layer=2,
        steer_layers=(1, 2),
        steer_variant="projected",
        provenance=Provenance(model.identity, {}, {}),
    )


def twice(name: str, folder: Path) -> Result:
    """A study's result, run twice; every file of the two is the same to the byte."""
    for place in ("one", "two"):
        [(result, kept)] = run(lab(), folder / place, [name])
        assert not kept
    files = sorted(path.name for path in (folder / "one" / name).iterdir())
    for ending in (".parquet", ".csv", ".plotly.json") if result.tables else ():
        assert any(file.endswith(ending) for file in files), ending
    for file in files:
        assert (folder / "one" / name / file).read_bytes() == (folder / "two" / name / file).read_bytes(), (
            file
        )
    return result


@cache
def lab(template: str | None = TEMPLATE) -> Lab:
    model = tiny("llama", template=template)
    return Lab(model, vectors_of(model))
