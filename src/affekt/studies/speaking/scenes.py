"""Residuals of who hides an emotion, in scenes where the felt and the shown one differ (paper 6.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts.dialogues import Deflection
from affekt.concepts.source import Source
from affekt.models.prompt import Encoded
from affekt.studies.lab import Lab
from affekt.vectors.collect import Pick, content

__all__ = ["hidden", "plainly", "said", "whole"]


def said(scene: Deflection) -> str:
    """The words of the one who hides what they feel."""
    return " ".join(turn.text for turn in scene.turns if turn.role == "A")


def whole(scene: Deflection, preamble: bool) -> str:
    """The scene as it is read, with or without the situation that tells what is felt."""
    lines = [f"{turn.speaker}: {turn.text}" for turn in scene.turns]
    return "\n".join([scene.preamble, *lines] if preamble else lines)


def hidden(lab: Lab, found: Sequence[Deflection], preamble: bool) -> Float[Tensor, "scenes d_model"]:
    """Mean residual at the read layer over the tokens of the hider's own turns; the situation, where it is
    given, is in the context and not averaged."""
    texts = [whole(scene, preamble) for scene in found]
    scene_of = dict(zip(texts, found, strict=True))

    def pick(encoded: Encoded) -> list[int]:
        known = encoded.text if encoded.text in scene_of else None
        scene = scene_of[known or next(text for text in texts if text in encoded.text)]
        spans = []
        for turn in scene.turns:
            if turn.role == "A":
                start = encoded.text.index(turn.text)
                spans.append((start, start + len(turn.text)))
        return [
            i
            for i, (a, b) in enumerate(encoded.spans)
            if b > a and any(a < end and b > start for start, end in spans)
        ]

    return _mean_rows(lab, texts, pick, "whole" if preamble else "turns")


def plainly(lab: Lab, texts: Sequence[Source], first: int = 1) -> Float[Tensor, "texts d_model"]:
    """Mean residual at the read layer over each text, its first tokens left out."""
    return _mean_rows(lab, texts, content(first), "plain texts")


def _mean_rows(lab: Lab, texts: Sequence[Source], pick: Pick, stage: str) -> Float[Tensor, "texts d_model"]:
    out = torch.zeros(len(texts), lab.model.identity.d_model)
    for done, one in enumerate(lab.engine().collect(list(texts), [lab.vectors.read_layer], pick), 1):
        if one.values.shape[1]:
            out[one.index] = one.values[0, 0]
        lab.told(f"deflection, {stage}", done, len(texts))
    return out
