"""What steering costs a reply: how much the unsteered model is surprised by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.concepts import Source
from affekt.concepts.shipped import battery
from affekt.engines.engine import Engine, Reply, Request, Sampling

__all__ = ["everyday", "loops", "losses"]

LEAST_DISTINCT = 0.4
"""Share of different tokens under which a reply goes round in circles."""

LEAST_TOKENS = 8
"""Shorter replies are not asked whether they do."""


def everyday(n: int, part: int = 0) -> list[str]:
    """`n` short everyday questions; two different parts (0 and 1) share none."""
    questions = sorted(
        (q.text for q in battery() if q.group == "ordinary"), key=lambda text: (len(text), text)
    )
    return questions[part::2][:n]


def losses(
    engine: Engine,
    prompts: Sequence[str],
    biases: Sequence[Mapping[str, Any] | None],
    sampling: Sampling,
) -> tuple[Float[np.ndarray, " rows"], list[str]]:
    """The unsteered model's loss per token on the reply that each prompt gets under its bias.

    All replies are made in one call, so that an engine can batch them.

    Returns:
        Nats per token, and the replies. NaN for an empty reply; infinity for one that loops, which is cheap
        for a model and yet broken.
    """
    chats: list[Source] = [[{"role": "user", "content": prompt}] for prompt in prompts]
    requests = [
        Request(chat, sampling, bias=bias, id=str(i))
        for i, (chat, bias) in enumerate(zip(chats, biases, strict=True))
    ]
    done = {int(event.request): event for event in engine.generate(requests) if isinstance(event, Reply)}
    replies = [done[i] for i in range(len(requests))]
    said = [i for i, reply in enumerate(replies) if reply.tokens]
    out = np.full(len(requests), np.nan)
    if said:
        scores = engine.score([chats[i] for i in said], [replies[i].tokens for i in said])
        for i, score in zip(said, scores, strict=True):
            out[i] = np.inf if loops(replies[i].tokens) else -float(np.mean(score))
    return out, [reply.text for reply in replies]


def loops(tokens: Sequence[int]) -> bool:
    """Whether a reply repeats itself: fewer than two in five of its tokens are different ones."""
    return len(tokens) >= LEAST_TOKENS and len(set(tokens)) / len(tokens) < LEAST_DISTINCT
