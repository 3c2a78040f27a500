"""Vectors of a dialogue's turns (paper 6.1): on whose tokens they are made, and by whose emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts.dialogues import TwoEmotions
from affekt.models.prompt import Encoded, encode
from affekt.studies.lab import Lab
from affekt.vectors.collect import role_tokens

__all__ = ["KINDS", "OTHER_A", "OTHER_U", "PRESENT_A", "PRESENT_U", "by_emotion", "of_turns"]

KINDS = {
    "present, assistant's turns": ("assistant", "assistant"),
    "present, user's turns": ("user", "user"),
    "other, assistant's turns": ("user", "assistant"),
    "other, user's turns": ("assistant", "user"),
}
"""Kind of vector -> whose emotion it is made by, and on whose tokens it is made."""

PRESENT_A, PRESENT_U, OTHER_A, OTHER_U = KINDS


def of_turns(
    lab: Lab, dialogues: Sequence[TwoEmotions], layers: Sequence[int]
) -> dict[str, Float[Tensor, "layers dialogues d_model"]]:
    """The mean residual over each side's turns, both from one pass."""
    user, assistant = role_tokens("user"), role_tokens("assistant")
    encoded = [encode(lab.model.tokenizer, dialogue.messages) for dialogue in dialogues]
    counts = [len(user(one)) for one in encoded]
    shape = (len(layers), len(dialogues), lab.model.identity.d_model)
    out = {side: torch.zeros(shape) for side in ("user", "assistant")}

    def pick(one: Encoded) -> list[int]:
        return [*user(one), *assistant(one)]

    for done, one in enumerate(lab.engine().collect(encoded, layers, pick, mean=False), 1):
        first = counts[one.index]
        out["user"][:, one.index] = one.values[:, :first].mean(dim=1)
        out["assistant"][:, one.index] = one.values[:, first:].mean(dim=1)
        lab.told("speakers", done, len(dialogues))
    return out


def by_emotion(
    rows: Mapping[str, Float[Tensor, "layers dialogues d_model"]],
    dialogues: Sequence[TwoEmotions],
    names: Sequence[str],
) -> dict[str, Float[Tensor, "layers emotions d_model"]]:
    """Each kind's means over the dialogues of an emotion, less the mean over emotions."""
    kinds = {}
    for kind, (whose, where) in KINDS.items():
        own = [[i for i, d in enumerate(dialogues) if getattr(d, whose) == name] for name in names]
        centres = torch.stack([rows[where][:, some].mean(dim=1) for some in own], dim=1)
        kinds[kind] = centres - centres.mean(dim=1, keepdim=True)
    return kinds
