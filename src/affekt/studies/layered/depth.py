"""Readings at every layer and token of a text, on one scale for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from affekt.models.prompt import Encoded, encode
from affekt.studies.lab import Lab
from affekt.studies.layered.bank import Bank
from affekt.vectors.directions import unit

__all__ = ["MIXTURES", "Depth", "readings", "token_at"]

MIXTURES = 64
"""Random mixtures of the emotions' vectors that are read beside them, as a control."""


@dataclass(frozen=True, eq=False)
class Depth:
    """One text at all layers."""

    encoded: Encoded
    """Its tokens."""
    z: Float[np.ndarray, "layers tokens columns"]
    """Projections, of mean 0 and deviation 1 over all tokens of all texts at each layer; the emotions, then
    the mixtures."""


def readings(lab: Lab, bank: Bank, messages: Sequence[str]) -> list[Depth]:
    """Reads messages of a user, each up to where the reply would begin."""
    mix = torch.randn(MIXTURES, len(bank.names), generator=torch.Generator().manual_seed(0))
    weights = torch.stack([torch.cat([units, unit(mix @ units)]) for units in bank.units])
    sources = [
        encode(lab.model.tokenizer, [{"role": "user", "content": text}], generation_prompt=True)
        for text in messages
    ]
    layers = range(len(bank.units))
    found: dict[int, np.ndarray] = {}
    for one in lab.engine().collect(sources, layers, lambda encoded: range(len(encoded)), mean=False):
        found[one.index] = torch.einsum("ltd,lcd->ltc", one.values.float(), weights).double().numpy()
        lab.told("layers", len(found), len(sources))
    # The first token's residual is huge whatever it says.
    pooled = np.concatenate([found[i][:, 1:] for i in range(len(sources))], axis=1)
    centre, spread = pooled.mean(axis=1, keepdims=True), pooled.std(axis=1, keepdims=True) + 1e-9
    return [Depth(source, (found[i] - centre) / spread) for i, source in enumerate(sources)]


def token_at(encoded: Encoded, words: str, last: bool = True) -> int:
    """The last token of the last (or the first) place where the text has the words."""
    start = encoded.text.rindex(words) if last else encoded.text.index(words)
    end = start + len(words)
    return max(i for i, (a, b) in enumerate(encoded.spans) if a < end and b > start and b > a)
