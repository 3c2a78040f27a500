"""A world without a network: texts, vectors and an engine whose residuals and replies are planted by rule."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from affekt.concepts import Concept, Corpus, Text
from affekt.concepts.text import plain
from affekt.engines.engine import Collected, Reply, Request
from affekt.models.model import Identity
from affekt.models.prompt import Encoded
from affekt.vectors.conceptvectors import ConceptVectors, Provenance, unit

D, LAYERS = 48, (1, 2, 3)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def vectors_of(
    concepts: Sequence[Concept], directions: torch.Tensor, corpus: Corpus | None = None, **parts: Any
) -> ConceptVectors:
    """Vectors alike in every variant and at every layer; z is the product with the unit direction."""
    stack = directions.expand(len(LAYERS), -1, -1).clone()
    n = len(concepts)
    fields: dict[str, Any] = dict(
        concepts=tuple(concepts),
        layers=LAYERS,
        raw=stack,
        projected=stack,
        whitened=stack,
        weight=unit(stack),
        mean=torch.zeros(len(LAYERS), 4, n),
        std=torch.ones(len(LAYERS), 4, n),
        norms=torch.full((len(LAYERS),), 10.0),
        doses=torch.full((n,), torch.nan),
        read_layer=LAYERS[1],
        steer_layers=LAYERS[:2],
        steer_variant="projected",
        provenance=Provenance(
            Identity("planted", "0" * 64, "float32", "Planted", 4, directions.shape[1]),
            {corpus.name: corpus.hash} if corpus is not None else {},
            {"first_token": 0, "read_shrinkage": None, "shrinkage": 0.5},
        ),
    )
    return ConceptVectors(**fields | parts)


def corpus_of(
    names: Sequence[str], forms: Mapping[str, int], tell: float = 0.0, name: str = "made"
) -> Corpus:
    """One text a concept and topic; with the chance `tell` it holds a word of its concept's own."""
    rng = np.random.default_rng(0)
    texts = []
    for form, topics in forms.items():
        for topic in range(topics):
            for concept in names:
                words = [f"word{i}" for i in rng.integers(40, size=12)]
                words += [f"sign{concept}"] * int(rng.random() < tell) + [form, f"topic{topic}"]
                texts.append(Text(f"{form}{topic}", form, concept, " ".join(words)))
    return Corpus(tuple(texts), name)


def encode(source: Any) -> Encoded:
    """A token a word; a chat that ends with a user's turn has two tokens of a generation prompt."""
    if isinstance(source, Encoded):
        return source
    text, words = plain(source), plain(source).split()
    roles: list[Any] = ["text"] * len(words)
    if not isinstance(source, str):
        roles = ["template", *["user"] * len(words), "generation", "generation"]
    n = len(roles)
    return Encoded(tuple(range(n)), tuple((0, 0) for _ in range(n)), tuple(roles), text)


@dataclass
class PlantedEngine:
    """An engine whose every answer is a rule given here."""

    vectors: ConceptVectors
    residual: Callable[[str, int], torch.Tensor] = lambda _text, _layer: torch.zeros(D)
    """(plain text, layer) -> what all its tokens have in common."""
    logprob: Callable[[str, str, float], float] = lambda _word, _concept, _dose: -5.0
    """(word, concept, dose) -> log-probability of the word under a bias; the concept is empty without one."""
    cost: Callable[[str, float, str], float] = lambda _concept, _dose, _prompt: 1.0
    """(concept, dose, prompt) -> loss per token of the reply; NaN for an empty reply, infinity for a loop."""
    noise: float = 0.0
    """Deviation of each token's own residual."""
    calls: list[int] = field(default_factory=list)
    """How many requests each call of `generate` had."""

    def collect(
        self,
        sources: Sequence[Any],
        layers: Sequence[int],
        pick: Callable[[Encoded], Sequence[int]],
        mean: bool = True,
    ) -> Iterator[Collected]:
        for index, source in enumerate(sources):
            picked = list(pick(encode(source)))
            seed = zlib.crc32(plain(source).encode())
            common = torch.stack([self.residual(plain(source), layer) for layer in layers])
            values = common[:, None] + self.noise * draw(len(layers), len(picked), common.shape[1], seed=seed)
            if mean and picked:
                values = values.mean(1, keepdim=True)
            yield Collected(index, values, len(picked))

    def read(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def next_token(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def generate(self, requests: Sequence[Request]) -> Iterator[Any]:
        self.calls.append(len(requests))
        for request in requests:
            concept, dose = self._bias(request.bias)
            loss = self.cost(concept, dose, plain(request.source))  # type: ignore[arg-type]
            n = request.sampling.max_tokens
            # The first token carries the loss, in thousandths; the rest only differ, or do not.
            ids = (
                ()
                if np.isnan(loss)
                else (round(1000 * loss), *range(n - 1))
                if np.isfinite(loss)
                else (7,) * n
            )
            yield Reply(str(request.id), 0, f"{concept} {dose}", ids, "length", encode(request.source), 1)

    def score(
        self, prompts: Sequence[Any], continuations: Sequence[Any], bias: Any = None
    ) -> list[np.ndarray]:
        biases = bias if isinstance(bias, list) else [bias] * len(prompts)
        scores = []
        for said, own in zip(continuations, biases, strict=True):
            if isinstance(said, str):
                words = said.split()
                scores.append(np.array([self.logprob(word, *self._bias(own)) for word in words]))
            else:
                scores.append(np.full(len(said), -said[0] / 1000))
        return scores

    @staticmethod
    def _bias(bias: Any) -> tuple[str, float]:
        if not bias:
            return "", 0.0
        [(name, form)] = bias.items()
        return name, form["dose"]
