"""Residuals at the places of a prompt and over the reply, for what foretells what (paper 3.7, 3.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts.shipped import stories
from affekt.concepts.text import plain
from affekt.engines import Reply
from affekt.models.prompt import Encoded, encode
from affekt.steering.control import random_directions
from affekt.studies.lab import Lab
from affekt.studies.prompts.stated import Stated, stated, stop_of
from affekt.vectors.collect import role_tokens
from affekt.vectors.readout import Position, ReadOut

__all__ = ["END", "LAST", "STOP", "WORDS", "along", "letters", "of_prompts", "of_replies"]

RANDOM = 200
"""Random directions along which the same is measured, as a control."""

STOP, LAST = "the statement's end", "the user's last token"
WORDS, END = "the user's words", "the prompt's end"

KIND: Mapping[str, Position] = {WORDS: "user", END: "prompt_end", "reply": "reply"}
"""The vectors' own reference that a place's z is referred to. They hold none of single tokens within the
user's turn: `STOP` and `LAST` are referred to the same places of `letters`, on the prompts of which the
vectors' reference for `END` rests too."""


def letters() -> list[Stated]:
    """Messages of a user that favour no emotion, one for each of the 171."""
    return [stated(plain(text.body)) for text in stories().only(form="message")]


def of_prompts(
    lab: Lab, messages: Sequence[Stated], stage: str = "positions, prompts"
) -> dict[str, Float[Tensor, "prompts d_model"]]:
    """At the statement's end, at the user's last token, over the user's words, and at the prompt's end."""
    rows = {
        place: torch.zeros(len(messages), lab.model.identity.d_model) for place in (STOP, LAST, WORDS, END)
    }
    sources = [
        encode(lab.model.tokenizer, [{"role": "user", "content": message.text}], generation_prompt=True)
        for message in messages
    ]
    stops = {source.ids: stop_of(source, own) for source, own in zip(sources, messages, strict=True)}

    def pick(encoded: Encoded) -> Sequence[int]:
        return [*role_tokens("user")(encoded), stops[encoded.ids], len(encoded) - 1]

    found = lab.engine().collect(sources, [lab.vectors.read_layer], pick, mean=False)
    for done, one in enumerate(found, 1):
        *words, stop, end = one.values[0].float()
        rows[STOP][one.index] = stop
        rows[LAST][one.index] = words[-1]
        rows[WORDS][one.index] = torch.stack(words).mean(0)
        rows[END][one.index] = end
        lab.told(stage, done, len(sources))
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
    lab: Lab, rows: Mapping[str, Tensor], referred: Mapping[str, Tensor]
) -> tuple[dict[str, Float[np.ndarray, "prompts emotions"]], dict[str, Float[np.ndarray, "prompts random"]]]:
    """z of the emotions at each place, and projections on random directions.

    Args:
        lab: whose vectors read.
        rows: residuals at each place.
        referred: residuals of `letters` at the places that the vectors hold no reference for.
    """
    readout = lab.vectors.readout().only(lab.emotions)
    drawn = random_directions(RANDOM, lab.model.identity.d_model, 0)
    z = {
        place: readout.z(own, KIND[place]) if place in KIND else _z(readout, own, referred[place])
        for place, own in rows.items()
    }
    return (
        {place: own.double().numpy() for place, own in z.items()},
        {place: (own @ drawn.T).double().numpy() for place, own in rows.items()},
    )


def _z(
    readout: ReadOut, own: Float[Tensor, "prompts d_model"], referred: Float[Tensor, "texts d_model"]
) -> Float[Tensor, "prompts emotions"]:
    """z by the mean and the spread at the same place of other texts."""
    zero = referred @ readout.weight.T
    return (own @ readout.weight.T - zero.mean(0)) / zero.std(0)
