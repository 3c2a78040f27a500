"""Small vectors and prompts made by hand, for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from affekt.concepts.concept import Concept
from affekt.models.model import Identity
from affekt.models.prompt import Encoded
from affekt.vectors.conceptvectors import ConceptVectors, Provenance

NAMES = ("calm", "desperate", "angry", "furious", "proud")
LAYERS = (1, 2)


def made(d_model: int = 32, layers: Sequence[int] = LAYERS, seed: int = 0, **parts: Any) -> ConceptVectors:
    """Random vectors; the read-out is near the directions, each position has its own mean and deviation."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    shape = (len(layers), len(NAMES), d_model)
    raw = draw(*shape)
    weight = raw + 0.5 * draw(*shape)
    fields: dict[str, Any] = dict(
        concepts=tuple(Concept(name) for name in NAMES),
        layers=tuple(layers),
        raw=raw,
        projected=raw + 0.1 * draw(*shape),
        whitened=raw + 0.1 * draw(*shape),
        weight=weight / weight.norm(dim=-1, keepdim=True),
        mean=draw(len(layers), 4, len(NAMES)),
        std=draw(len(layers), 4, len(NAMES)).abs() + 0.5,
        norms=torch.linspace(5.0, 10.0, len(layers)),
        doses=torch.tensor([0.4, 0.2, float("nan"), 0.3, 0.0]),
        read_layer=layers[-1],
        steer_layers=tuple(layers),
        steer_variant="projected",
        provenance=Provenance(Identity("tiny", "0" * 64, "float32", "Tiny", 4, d_model), {}, {}),
    )
    return ConceptVectors(**fields | parts)


def chat() -> Encoded:
    """`<s>` user: `Say it now` (4 tokens), assistant: generation prompt of two tokens."""
    return Encoded(
        ids=(1, 5, 6, 7, 8, 9, 10),
        spans=((0, 3), (3, 6), (6, 9), (9, 11), (11, 13), (13, 15), (15, 16)),
        roles=("special", "user", "user", "user", "user", "generation", "generation"),
        text="<s>Say it now A:",
    )


def plain() -> Encoded:
    """A plain text of four tokens after BOS, which has no characters."""
    return Encoded(
        ids=(1, 5, 6, 7, 8),
        spans=((0, 0), (0, 3), (3, 6), (6, 10), (10, 12)),
        roles=("special", "text", "text", "text", "text"),
        text="He feels so.",
    )
