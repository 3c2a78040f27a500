"""Models of whose difference everything is known: a tiny one whose residuals are shifted along a
direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from affekt.audit.prompts import Prompt
from affekt.audit.subject import Subject
from affekt.concepts import emotions
from affekt.engines import Collected, Reply, Request, Token
from affekt.engines.transformers import TransformersEngine
from affekt.models.model import Model
from affekt.vectors import ConceptVectors
from affekt.vectors.provenance import Provenance
from tests.models import TEMPLATE, tiny

CONCEPTS = tuple(concept for concept in emotions() if concept.valence is not None)
"""45 emotions, those with human norms."""

PROMPTS = tuple(
    Prompt(f"{group}-{i}", group, "", f"{text} {i}", f"Once more, {i}: {text}")
    for group in ("neutral", "challenging")
    for i, text in enumerate(
        ["What is the river?", "Who was angry?", "Is the garden calm?", "When does the train come?"] * 2
    )
)


class Shifted(TransformersEngine):
    """An engine that adds to every residual it gives: something fixed, and noise of each text."""

    def __init__(
        self, model: Model, vectors: ConceptVectors, add: Tensor, noise: float, seed: int, silent: int = 0
    ) -> None:
        super().__init__(model, vectors, sibling=True)
        self.add, self.noise, self.seed, self.silent = add, noise, seed, silent
        self.calls: list[str] = []

    def collect(self, *asked: Any, **more: Any) -> Iterator[Collected]:
        self.calls.append("collect")
        for one in super().collect(*asked, **more):
            generator = torch.Generator().manual_seed(self.seed * 10_000 + one.index)
            own = torch.randn(one.values.shape, generator=generator) * self.noise
            yield replace(one, values=one.values + self.add + own)

    def generate(self, requests: Sequence[Request]) -> Iterator[Token | Reply]:
        self.calls.append("generate")
        for piece in super().generate(requests):
            if isinstance(piece, Reply) and piece.residuals is not None:
                generator = torch.Generator().manual_seed(self.seed * 10_000 + int(piece.request))
                own = torch.randn(len(piece.residuals), 1, self.identity.d_model, generator=generator)
                piece = replace(piece, residuals=piece.residuals + self.add + own * self.noise)
                if int(piece.request) < self.silent:
                    piece = replace(piece, text="")
            yield piece


@dataclass
class World:
    """Models by name, and what was asked of them."""

    model: Model
    vectors: ConceptVectors
    shifts: Mapping[str, torch.Tensor]
    noise: float = 0.0
    template: Mapping[str, str | None] = field(default_factory=dict)
    silent: Mapping[str, int] = field(default_factory=dict)
    """Of each model, how many of the first prompts it ends its reply to at once."""
    opened: list[str] = field(default_factory=list)
    engines: dict[str, Shifted] = field(default_factory=dict)

    def open(self, name: str) -> Subject:
        self.opened.append(name)
        base = name.partition("@")[0]
        nothing = torch.zeros(self.model.identity.d_model)
        seed = len(base) if base in ("base", *self.shifts) else 0
        engine = Shifted(
            self.model,
            self.vectors,
            self.shifts.get(base, nothing),
            self.noise,
            seed,
            self.silent.get(base, 0),
        )
        self.engines[name] = engine
        digest = "0" * 64 if base == "base" else f"{len(base):064x}"
        identity = replace(self.model.identity, name=name, weights_sha256=digest, dtype=dtype_of(name))
        template = self.template.get(base, TEMPLATE)
        return Subject(lambda: engine, identity, bool(template), template or "")


def dtype_of(name: str) -> str:
    return name.partition("@")[2] if "float" in name.partition("@")[2] else "float32"


def world(shifts: Mapping[str, Callable[[ConceptVectors], torch.Tensor]], **more: Any) -> World:
    """A world whose base is `base`; each other model has its shift."""
    model = tiny("llama", hidden_size=64, head_dim=16)
    return World(model, held(model), {name: shift(held(model)) for name, shift in shifts.items()}, **more)


def held(model: Model) -> ConceptVectors:
    """Random vectors of `base`, at two layers."""
    generator = torch.Generator().manual_seed(0)
    count, width = len(CONCEPTS), model.identity.d_model

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    raw = draw(2, count, width)
    identity = replace(model.identity, name="base", weights_sha256="0" * 64)
    return ConceptVectors(
        concepts=CONCEPTS,
        layers=(1, 2),
        raw=raw,
        projected=raw.clone(),
        whitened=raw.clone(),
        weight=raw / raw.norm(dim=-1, keepdim=True),
        mean=draw(2, 4, count),
        std=draw(2, 4, count).abs() + 0.5,
        norms=torch.tensor([5.0, 10.0]),
        doses=torch.full((count,), torch.nan),
        read_layer=2,
        steer_layers=(1, 2),
        steer_variant="projected",
        provenance=Provenance(identity, {}, {}),
    )


def along(name: str, z: float) -> Callable[[ConceptVectors], torch.Tensor]:
    """A shift that raises one concept's z by so much at the prompt's end, and the others' not at all."""

    def shift(vectors: ConceptVectors) -> torch.Tensor:
        readout = vectors.readout()
        wanted = torch.zeros(len(vectors.concepts))
        wanted[vectors.index(name)] = z * readout.std[3, vectors.index(name)]
        return torch.linalg.lstsq(readout.weight, wanted).solution

    return shift
