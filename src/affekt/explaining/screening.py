"""Which concepts are worth an ablation: those that the readings show most, each standing for its like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from affekt.reading.reading import Reading
from affekt.reading.roles import CONTENT
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["ALIKE", "screen", "strength"]

ALIKE = 0.9
"""From this |cosine| on, two concepts' ablations take out the same thing: one of them is tested."""


def strength(readings: Sequence[Reading], prompt_tokens: int) -> Float[np.ndarray, " concepts"]:
    """How much each concept shows where it shows most: in the mean over the prompt's words, at the prompt's
    last token, or in the mean over a reply.

    In each of these parts |z| counts relative to its root mean square over all concepts, since a single
    token's readings are larger than a mean's.

    Args:
        readings: of all concepts, one of each reply after the same prompt.
        prompt_tokens: how many of their tokens are the prompt's.
    """
    first = readings[0]
    words = [i for i in range(1, prompt_tokens) if first.roles[i] in CONTENT]
    parts = [first.z[words or slice(prompt_tokens)].mean(0), first.z[prompt_tokens - 1]]
    parts += [reading.z[prompt_tokens:].mean(0) for reading in readings]
    sizes = [np.abs(part) / max(float(np.sqrt((part**2).mean())), 1e-9) for part in parts]
    shown: Float[np.ndarray, " concepts"] = np.stack(sizes).max(0)
    return shown


def screen(
    shown: Float[np.ndarray, " concepts"], vectors: ConceptVectors, asked: Sequence[str], n: int
) -> tuple[tuple[str, ...], str]:
    """The concepts to test, and in words how they were chosen.

    Args:
        shown: how much each concept shows.
        vectors: whose steering directions tell which concepts are alike.
        asked: concepts that are tested in any case.
        n: how many in all, those asked for included.

    Raises:
        UnknownConcept: for a name that the vectors do not hold.
    """
    chosen = [vectors.index(name) for name in dict.fromkeys(asked)]
    named = len(chosen)
    directions = vectors.directions()
    for i in np.argsort(-shown, kind="stable").tolist():
        if len(chosen) >= n:
            break
        if i not in chosen and not _alike(directions[i], directions[chosen]):
            chosen.append(i)
    said = f"{named} asked for; " if named else ""
    said += f"{len(chosen) - named} of {len(vectors.names)} that the readings show most, in the prompt, at "
    said += f"its end or in the reply, none of a |cosine| of {ALIKE} or more with one before it"
    return tuple(vectors.names[i] for i in chosen), said


def _alike(own: Float[torch.Tensor, " d_model"], others: Float[torch.Tensor, "n d_model"]) -> bool:
    return bool((others @ own).abs().max() >= ALIKE) if len(others) else False
