"""The zero of a z-score: scores at each kind of position in texts that favour no emotion.

Every reference holds one text for each of the 171 emotions, so that it has all that such texts share and none
of what tells them apart. Neutral dialogues would not do: a personal message differs from a task by far more
than one emotion from another, and the difference would be in every z.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts import Source
from affekt.concepts.shipped import neutral, stories, two_emotions
from affekt.models.prompt import Encoded
from affekt.progress import Progress
from affekt.vectors.checkpoint import Checkpoint
from affekt.vectors.collect import Collect, Pick, from_token, prompt_end, role_tokens
from affekt.vectors.gather import ALL, Share, gather_tokens
from affekt.vectors.moments import Gram, ScoreMoments
from affekt.vectors.readout import Position

__all__ = ["gather_neutral", "gather_references"]


def gather_neutral(
    collect: Collect,
    layers: Sequence[int],
    d_model: int,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    share: Share = ALL,
) -> Gram:
    """Moments of the tokens of neutral dialogues, the first of each left out: it is a sink of attention, and
    its residual is many times longer than any other."""
    gram = Gram.empty(len(layers), d_model)
    gather_tokens(
        collect,
        neutral(),
        layers,
        _all_but_first,
        gram.add,
        "neutral dialogues",
        gram.state(),
        progress,
        checkpoint,
        share,
    )
    return gram


def gather_references(
    collect: Collect,
    layers: Sequence[int],
    weight: Float[Tensor, "layers concepts d_model"],
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Mapping[Position, ScoreMoments]:
    """Moments of `residual . weight` at the tokens of each position."""
    by_layer = weight.transpose(1, 2)

    def run(stage: str, sources: Sequence[Source], pick: Pick, last: bool = False) -> list[ScoreMoments]:
        kinds = [ScoreMoments.empty(*weight.shape[:2]) for _ in range(1 + last)]

        def add(rows: Float[Tensor, "layers tokens d_model"]) -> None:
            scores = torch.bmm(rows, by_layer)
            for moments, part in zip(
                kinds, (scores[:, :-1], scores[:, -1:]) if last else (scores,), strict=True
            ):
                moments.add(part)

        state = {f"{at}.{name}": t for at, moments in enumerate(kinds) for name, t in moments.state().items()}
        gather_tokens(collect, sources, layers, pick, add, stage, state, progress, checkpoint)
        return kinds

    letters = [[{"role": "user", "content": text.body}] for text in stories().only(form="message")]
    dialogues = [dialogue.messages for dialogue in two_emotions()]
    observed = [text.body for text in stories().only(form="observer")]
    user, end = run("reference messages", letters, _user_and_end, last=True)
    [turns] = run("reference turns", dialogues, role_tokens("user"))
    [reply] = run("reference replies", dialogues, role_tokens("assistant"))
    [text] = run("reference texts", observed, from_token(1))
    return {"text": text, "user": user.merge(turns), "reply": reply, "prompt_end": end}


def _user_and_end(encoded: Encoded) -> Sequence[int]:
    return [*role_tokens("user")(encoded), *prompt_end(encoded)]


def _all_but_first(encoded: Encoded) -> Sequence[int]:
    return range(1, len(encoded))
