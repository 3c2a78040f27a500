"""The random arm: controls matched to the tested concepts in turn, as concepts that an engine can ablate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts.concept import Concept
from affekt.engines.engine import Engine
from affekt.explaining.explanation import Place
from affekt.explaining.matching import Spread, matched, shares, spread
from affekt.explaining.told import Told
from affekt.vectors.conceptvectors import ConceptVectors, unit

__all__ = ["Arm", "Spreads", "arms", "band", "places", "spreads", "with_arms"]

Spreads = Mapping[Place, tuple[Spread, ...]]
"""At each place, the spread of the residuals layer by layer."""


@dataclass(frozen=True, eq=False)
class Arm:
    """One random direction."""

    name: str
    """As which it is ablated."""
    place: Place
    """The tokens to which it is matched and at which it is ablated."""
    like: str
    """The concept it is matched to."""
    share: float
    """Share of the residuals' sum of squares that it takes, mean over layers."""
    units: Float[Tensor, "layers d_model"]
    """Its unit vectors at the steering layers."""


def places(texts: Sequence[Told]) -> tuple[Place, ...]:
    """The places at which an ablation can matter: the reply's, if a token of it comes after another one."""
    first, longest = texts[0].prompt_tokens, max(len(text.whole) for text in texts)
    found: list[Place] = []
    if first > 1 and longest > first + 1:
        found.append("both")
    if first > 1:
        found.append("prompt")
    if longest > first + 1:
        found.append("reply")
    return tuple(found)


def spreads(
    engine: Engine, layers: Sequence[int], texts: Sequence[Told], wanted: Sequence[Place]
) -> dict[Place, tuple[Spread, ...]]:
    """How the residuals are spread over the tokens that an ablation reaches and that predict another one.

    The very first token is left out, as it is by the ablation; a prompt that two replies share counts once.
    """
    first = texts[0].prompt_tokens
    parts: dict[int, Tensor] = {}
    for own in engine.collect([t.whole for t in texts], layers, lambda e: range(1, len(e) - 1), mean=False):
        parts[own.index] = own.values
    prompt = parts[0][:, : first - 1]
    reply = torch.cat([parts[i][:, first - 1 :] for i in range(len(texts))], 1)
    rows: dict[Place, Tensor] = {"both": torch.cat([prompt, reply], 1), "prompt": prompt, "reply": reply}
    return {place: spread(rows[place]) for place in wanted}


def band(vectors: ConceptVectors, name: str) -> Float[Tensor, "layers d_model"]:
    """A concept's unit vectors at the steering layers, as an ablation uses them."""
    stack: Tensor = getattr(vectors, vectors.steer_variant)
    return unit(stack[[vectors.place(layer) for layer in vectors.steer_layers], vectors.index(name)])


def arms(text: Spreads, vectors: ConceptVectors, tested: Sequence[str], n: int, seed: int) -> tuple[Arm, ...]:
    """`n` random directions for each place, matched to the tested concepts one after another.

    The direction number `i` comes from one random rotation wherever it is ablated.
    """
    made = []
    for place, own in text.items():
        for i in range(n):
            like = tested[i % len(tested)]
            concept = band(vectors, like)
            [units] = matched(concept, own, 1, seed * 100_003 + i)
            share = float(shares(units, own).mean())
            made.append(Arm(f"random {i} ({place})", place, like, share, units))
    return tuple(made)


def with_arms(vectors: ConceptVectors, made: Sequence[Arm]) -> ConceptVectors:
    """The vectors and, as more concepts, random directions. These are good for ablation and nothing else:
    they have no read-out, and no vectors at layers at which is not steered."""
    held, width = len(vectors.layers), vectors.provenance.model.d_model
    stack = torch.zeros(held, len(made), width)
    for i, arm in enumerate(made):
        for layer, own in zip(vectors.steer_layers, arm.units, strict=True):
            stack[vectors.place(layer), i] = own
    positions = vectors.mean.shape[1]
    others = replace(
        vectors,
        concepts=tuple(Concept(arm.name) for arm in made),
        weight=stack,
        mean=torch.zeros(held, positions, len(made)),
        std=torch.ones(held, positions, len(made)),
        doses=torch.full((len(made),), torch.nan),
        raw=stack,
        projected=stack,
        whitened=stack,
    )
    return vectors.join(others)
