"""A linear model whose replies have known causes, behind the engine's verbs that an explanation uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from affekt.engines.engine import Collected
from affekt.explaining.told import Told
from affekt.models.prompt import Encoded, Role
from affekt.reading.reading import Reading
from affekt.steering.bias import Bias
from affekt.vectors.conceptvectors import ConceptVectors, unit
from tests.steering.vectors import made

WIDTH, VOCAB, LAYERS = 256, 40, (1, 2)


@dataclass
class Scripted:
    """A token's residual is its own; a token's log-probability is `cause` times the residual before it."""

    vectors: ConceptVectors
    cause: Tensor
    stream: Tensor
    calls: list[int] = field(default_factory=list)

    def with_vectors(self, vectors: ConceptVectors) -> Scripted:
        return Scripted(vectors, self.cause, self.stream, self.calls)

    def collect(
        self,
        sources: Sequence[Encoded],
        layers: Sequence[int],
        pick: Callable[[Encoded], Sequence[int]],
        mean: bool = True,
    ) -> Iterator[Collected]:
        assert not mean
        for i, source in reversed(list(enumerate(sources))):
            rows = self.stream[[LAYERS.index(layer) for layer in layers]][
                :, [source.ids[t] for t in pick(source)]
            ]
            yield Collected(i, rows, rows.shape[1])

    def read(self, sources: Sequence[Encoded], **_: Any) -> list[Reading]:
        names, readings = self.vectors.names, []
        for source in sources:
            h = self.stream[-1][list(source.ids)]
            z = (h @ self.vectors.directions().T).numpy()
            tokens = tuple(source.text[a:b] for a, b in source.spans)
            readings.append(
                Reading(
                    source.text,
                    tokens,
                    source.spans,
                    source.roles,
                    names,
                    z,
                    z / 10,
                    z,
                    LAYERS[-1],
                    "scripted",
                )
            )
        return readings

    def score(
        self, prompts: Sequence[Encoded], continuations: Sequence[Sequence[int]], bias: Sequence[Bias]
    ) -> list[np.ndarray]:
        self.calls.append(len(prompts))
        return [
            self._score(prompt, list(reply), own)
            for prompt, reply, own in zip(prompts, continuations, bias, strict=True)
        ]

    def _score(self, prompt: Encoded, reply: list[int], bias: Bias) -> np.ndarray:
        ids, first = [*prompt.ids, *reply], len(prompt)
        h = torch.zeros(len(ids), WIDTH)
        for place in range(len(LAYERS)):
            h = h + self.stream[place][ids] - (self.stream[place - 1][ids] if place else 0)
            for term in bias.terms:
                assert term.mode == "ablate" and term.layers == LAYERS
                u = unit(self.vectors.projected[place, self.vectors.index(term.concept)])
                start = first if term.where.place == "reply" else 1
                stop = first if term.where.place == "prompt" else len(ids)
                h[start:stop] -= torch.outer(h[start:stop] @ u, u)
        return (-2.0 + h[first - 1 : -1] @ self.cause).numpy().astype(np.float32)

    def generate(self, requests: Any) -> Any:
        raise NotImplementedError

    def next_token(self, prompts: Any, bias: Any = None, ids: Any = None) -> Any:
        raise NotImplementedError


def _stream(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(VOCAB, WIDTH, generator=generator)
    return torch.stack([first, first + 0.3 * torch.randn(VOCAB, WIDTH, generator=generator)])


def scripted(cause: str | None = "angry", strength: float = 1.0) -> Scripted:
    """The concept `cause` makes every token of a reply likelier, by what of it lies along its direction.

    Tokens up to 8 hold some of its opposite, tokens from 9 to 20 hold it, later ones hold little."""
    vectors = made(WIDTH, LAYERS)
    vectors = made(WIDTH, LAYERS, projected=vectors.projected[:1].expand(2, -1, -1).clone())
    generator = torch.Generator().manual_seed(9)
    common, noise = torch.randn(2, WIDTH, generator=generator)
    own = vectors[cause] if cause else torch.zeros(WIDTH)
    amounts = torch.tensor([-2.0] * 9 + [2.0] * 12 + [0.0] * (VOCAB - 21))
    stream = _stream(0) + 2 * common + amounts[:, None] * own
    return Scripted(vectors, 0.02 * noise + strength * own, stream)


def told(reply: Sequence[int] = (11, 12, 13, 14), prompt: Sequence[int] = (1, 5, 6, 7, 8, 9)) -> Told:
    ids = (*prompt, *reply)
    roles: list[Role] = ["special", *["user"] * (len(prompt) - 2), "generation", *["assistant"] * len(reply)]
    spans = tuple((3 * i, 3 * i + 3) for i in range(len(ids)))
    text = "".join(f"{id:02} " for id in ids)
    return Told(Encoded(ids, spans, tuple(roles), text), len(prompt))
