"""Where a user's message is read: over its own words, and at the end of the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from numpy import ndarray

from affekt.concepts import Source
from affekt.engines.engine import Engine
from affekt.models.prompt import Encoded
from affekt.vectors.collect import prompt_end, role_tokens
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["PLACES", "z_at"]

PLACES: Mapping[str, str] = {"user": "the user's words, mean", "prompt_end": "the prompt's end"}
"""The key of each place, and its name."""


def z_at(
    engine: Engine, vectors: ConceptVectors, messages: Sequence[str], concepts: Sequence[str]
) -> dict[str, Float[ndarray, "messages concepts"]]:
    """z of concepts at each of `PLACES`, in chats of one user's message; at the read layer."""
    readout = vectors.readout().only([vectors.index(name) for name in concepts])
    chats: list[Source] = [[{"role": "user", "content": message}] for message in messages]
    z = {place: torch.zeros(len(chats), len(concepts)) for place in PLACES}
    for one in engine.collect(chats, [readout.layer], _user_and_end, mean=False):
        rows = one.values[0]
        z["user"][one.index] = readout.z(rows[:-1].float().mean(0), "user")
        z["prompt_end"][one.index] = readout.z(rows[-1], "prompt_end")
    return {place: values.double().numpy() for place, values in z.items()}


def _user_and_end(encoded: Encoded) -> Sequence[int]:
    return [*role_tokens("user")(encoded), *prompt_end(encoded)]
