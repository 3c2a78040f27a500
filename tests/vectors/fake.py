"""A stand-in for an engine whose residuals are known: every word is a token with a vector of its own."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch

from affekt.concepts import Corpus, Source
from affekt.concepts.concept import Concept
from affekt.concepts.corpus import Text
from affekt.models.model import Identity
from affekt.models.prompt import Encoded
from affekt.vectors.conceptvectors import ConceptVectors, Provenance

D_MODEL = 16
MODEL = Identity("fake", "f" * 64, "float32", "Fake", 4, D_MODEL)


@dataclass(frozen=True)
class One:
    index: int
    values: torch.Tensor


@lru_cache(maxsize=100_000)
def word(layer: int, text: str) -> torch.Tensor:
    """The residual of a word after a layer; the mean over words is far from zero, as in real models."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{layer} {text}".encode()))
    return 3.0 + torch.randn(D_MODEL, generator=generator)


def encoded(source: Source) -> Encoded:
    """Words as tokens; a chat that ends with a user's turn gets the two tokens `<` and `>`."""
    if isinstance(source, str):
        words = [(each, "text") for each in source.split()]
    else:
        words = [(each, message["role"]) for message in source for each in message["content"].split()]
        if source[-1]["role"] == "user":
            words += [("<", "generation"), (">", "generation")]
    text = " ".join(each for each, _ in words)
    roles: Any = tuple(role for _, role in words)
    return Encoded(tuple(range(len(words))), ((0, 1),) * len(words), roles, text)


@dataclass
class Fake:
    """Collects from `word`, backwards, so that nothing can rely on the order. `seen` are the sources run."""

    stop_after: int | None = None
    """Raise KeyboardInterrupt after so many sources."""
    residual: Callable[[int, str], torch.Tensor] = word
    seen: list[Source] = field(default_factory=list)
    closed: int = 0

    def __call__(
        self,
        sources: Sequence[Source],
        layers: Sequence[int],
        pick: Callable[[Encoded], Sequence[int]],
        mean: bool = True,
    ) -> Iterator[One]:
        try:
            for index in reversed(range(len(sources))):
                if self.stop_after is not None and len(self.seen) >= self.stop_after:
                    raise KeyboardInterrupt
                self.seen.append(sources[index])
                whole = encoded(sources[index])
                words = whole.text.split(" ")
                rows = [words[at] for at in pick(whole)]
                values = torch.empty(len(layers), 0, D_MODEL)
                if rows:
                    values = torch.stack(
                        [torch.stack([self.residual(layer, each) for each in rows]) for layer in layers]
                    )
                    values = values.mean(1, keepdim=True) if mean else values
                yield One(index, values)
        finally:
            self.closed += 1


def made_corpus(
    concepts: Sequence[str] = ("calm", "angry", "proud"),
    topics: Sequence[str] = ("sea", "town"),
    forms: Sequence[str] = ("story", "letter"),
    each: int = 2,
    words: int = 60,
    name: str = "made",
) -> Corpus:
    """Every concept in every topic of every form; a text has its labels and filler, `words` in all."""
    texts = []
    for concept in concepts:
        for form in forms:
            for topic in topics:
                for n in range(each):
                    filler = [
                        f"w{zlib.crc32(f'{concept}{form}{topic}{n}{i}'.encode()) % 97}" for i in range(words)
                    ]
                    ending = [concept, form, topic] * 4
                    body = " ".join([*filler[: words - 12], *ending])
                    texts.append(Text(topic, form, concept, f"{body} {concept}{form}{topic}{n}"))
    return Corpus(tuple(texts), name)


def made_vectors(
    names: Sequence[str] = ("calm", "grief-stricken", "at ease"),
    layers: Sequence[int] = (1, 2),
    seed: int = 0,
    **parts: Any,
) -> ConceptVectors:
    """Random vectors with everything set."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    shape = (len(layers), len(names), D_MODEL)
    fields: dict[str, Any] = dict(
        concepts=tuple(Concept(name, cluster="some", valence=0.25) for name in names),
        layers=tuple(layers),
        raw=draw(*shape),
        projected=draw(*shape),
        whitened=draw(*shape),
        weight=draw(*shape),
        mean=draw(len(layers), 4, len(names)),
        std=draw(len(layers), 4, len(names)).abs() + 0.5,
        norms=torch.linspace(5.0, 10.0, len(layers)),
        doses=torch.full((len(names),), torch.nan),
        read_layer=layers[-1],
        steer_layers=tuple(layers),
        steer_variant="projected",
        provenance=Provenance(
            MODEL, {"made": "a" * 64}, {"first_token": 50, "band": [0.45, 0.8]}, {"torch": "2"}
        ),
    )
    return ConceptVectors(**fields | parts)
