"""Residuals at the places of a prompt and over the reply, for what foretells what (paper 3.7, 3.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from affekt.engines import Reply
from affekt.models.prompt import Encoded
from affekt.steering.control import random_directions
from affekt.studies.lab import Lab
from affekt.vectors.collect import role_tokens
from affekt.vectors.readout import Position

__all__ = ["END", "STOP", "WORDS", "along", "of_prompts", "of_replies"]

RANDOM = 200
"""Random directions along which the same is measured, as a control."""

STOP, WORDS, END = "the user's last token", "the user's words", "the prompt's end"

KIND: Mapping[str, Position] = {STOP: "user", WORDS: "user", END: "prompt_end", "reply": "reply"}
"""What each place's z is referred to."""


def of_prompts(lab: Lab, texts: Sequence[str]) -> dict[str, Float[Tensor, "prompts d_model"]]:
    """At the user's last token, over the user's words, and at the prompt's end."""
    rows = {place: torch.zeros(len(texts), lab.model.identity.d_model) for place in (STOP, WORDS, END)}

    def pick(encoded: Encoded) -> Sequence[int]:
        return [*role_tokens("user")(encoded), len(encoded) - 1]

    chats = [[{"role": "user", "content": text}] for text in texts]
    for one in lab.engine().collect(chats, [lab.vectors.read_layer], pick, mean=False):
        own = one.values[0].float()
        rows[STOP][one.index] = own[-2]
        rows[WORDS][one.index] = own[:-1].mean(0)
        rows[END][one.index] = own[-1]
    return rows


def of_replies(lab: Lab, written: Sequence[Reply]) -> Float[Tensor, "prompts d_model"]:
    """The mean over each reply; NaN for an empty one."""
    starts = {reply.whole.ids: reply.prompt_tokens for reply in written}
    out = torch.full((len(written), lab.model.identity.d_model), torch.nan)

    def pick(encoded: Encoded) -> Sequence[int]:
        return range(starts[encoded.ids], len(encoded))

    for one in lab.engine().collect([reply.whole for reply in written], [lab.vectors.read_layer], pick):
        if one.values.shape[1]:
            out[one.index] = one.values[0, 0]
    return out


def along(
    lab: Lab, rows: Mapping[str, Tensor]
) -> tuple[dict[str, Float[np.ndarray, "prompts emotions"]], dict[str, Float[np.ndarray, "prompts random"]]]:
    """z of the emotions at each place, and projections on random directions."""
    readout = lab.vectors.readout().only(lab.emotions)
    drawn = random_directions(RANDOM, lab.model.identity.d_model, 0)
    z = {place: readout.z(own, KIND[place]).double().numpy() for place, own in rows.items()}
    return z, {place: (own @ drawn.T).double().numpy() for place, own in rows.items()}
