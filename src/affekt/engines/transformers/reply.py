"""A finished reply put together: prompt and reply as one text, and its reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from affekt.engines.desk import Desk
from affekt.engines.engine import FinishReason, Reply
from affekt.engines.transformers.entry import Entry
from affekt.engines.transformers.ready import names_of
from affekt.engines.transformers.wording import Wording
from affekt.models.prompt import Encoded, Role
from affekt.reading.reading import Reading

__all__ = ["reply"]


def reply(
    core: Desk,
    entry: Entry,
    choice: int,
    wording: Wording,
    ids: tuple[int, ...],
    roles: tuple[Role, ...],
    reason: FinishReason,
    scalars: Float[np.ndarray, "tokens scalars"] | None,
    logprobs: tuple[float, ...],
    events: tuple[Any, ...],
    flagged: bool,
    replacement: str | None,
    residuals: Float[Tensor, "layers tokens d_model"] | None = None,
) -> Reply:
    """The reply of these tokens.

    Args:
        core: the engine's inside.
        entry: the request.
        choice: which of its replies.
        wording: the tokens' text.
        ids: the tokens.
        roles: whose words each is.
        reason: why it ends.
        scalars: what has been read of prompt and reply; None where nothing was to be read.
        logprobs: per token, where asked for.
        events: the guard's notes.
        flagged: whether the guard marked it.
        replacement: what it says instead of its own text, if anything.
        residuals: what was kept of the prompt's end and its own tokens.
    """
    prompt, text = entry.prompt, wording.shown(len(ids))
    whole = Encoded(
        ids=(*prompt.ids, *ids),
        spans=(*prompt.spans, *_spans(wording, roles, len(prompt.text))),
        roles=(*prompt.roles, *roles),
        text=prompt.text + text,
    )
    return Reply(
        request=entry.id,
        choice=choice,
        text=text if replacement is None else replacement,
        tokens=ids,
        finish_reason=reason,
        whole=whole,
        prompt_tokens=len(prompt),
        reading=_reading(core, entry, whole, scalars),
        logprobs=logprobs,
        events=events,
        flagged=flagged,
        residuals=residuals,
        replaced=replacement is not None,
    )


def _reading(
    core: Desk, entry: Entry, whole: Encoded, scalars: Float[np.ndarray, "tokens scalars"] | None
) -> Reading | None:
    if scalars is None or entry.probe is None or entry.columns is None:
        return None
    tokens = names_of(core.model, whole)
    return entry.probe.reading(whole, tokens, scalars, entry.columns, core.model.identity.name)


def _spans(wording: Wording, roles: Sequence[Role], offset: int) -> list[tuple[int, int]]:
    """Per token, its characters; tokens that share a character share its span."""
    spans: list[tuple[int, int]] = []
    last, waiting = len(wording.shown(len(roles))), 0
    for index, role in enumerate(roles):
        start = wording.ends[index - 1] if index else 0
        span = (offset + min(start, last), offset + min(wording.ends[index], last))
        spans.append(span)
        if span[0] == span[1]:
            waiting = waiting + 1 if role != "special" else 0
        else:
            spans[len(spans) - 1 - waiting :] = [span] * (waiting + 1)
            waiting = 0
    return spans
