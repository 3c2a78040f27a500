"""What is read on an activity's own words when the model is asked how it would feel about it (paper 4.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.engines import TransformersEngine
from affekt.models.prompt import Encoded
from affekt.studies.lab import Lab

__all__ = ["felt"]

FELT = "How would you feel about {a}?"


def felt(lab: Lab, engine: TransformersEngine, texts: Sequence[str]) -> Float[Tensor, "items d_model"]:
    """The mean residual at the read layer over each activity's own tokens, asked about by itself."""
    sources = [[{"role": "user", "content": FELT.format(a=text)}] for text in texts]
    rows = torch.zeros(len(texts), lab.model.identity.d_model)

    def pick(encoded: Encoded) -> list[int]:
        return _tokens(encoded, max((text for text in texts if text in encoded.text), key=len))

    for one in engine.collect(sources, [lab.vectors.read_layer], pick):
        rows[one.index] = one.values[0, 0]
    return rows


def _tokens(encoded: Encoded, text: str) -> list[int]:
    start = encoded.text.index(text)
    end = start + len(text)
    return [i for i, (a, b) in enumerate(encoded.spans) if a < end and b > start and b > a]
