"""Log-probabilities of given continuations under a bias."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers.cache_utils import Cache

from affekt.engines.transformers import kv
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.pad import batches, places, right
from affekt.engines.transformers.ready import heard, program_of, said_of
from affekt.models.prompt import Encoded
from affekt.steering.bias import Bias
from affekt.steering.edit import batch_edits
from affekt.steering.program import Program

__all__ = ["MOST_LOGITS", "Pair", "apart", "pair", "score", "vocabulary"]

MOST_LOGITS = 1 << 26
"""Most logits held at a time: a quarter of a gigabyte in float32."""


@dataclass(frozen=True)
class Pair:
    """A prompt and what is said after it."""

    prompt: Encoded
    """The prompt, generation prompt included."""
    ids: tuple[int, ...]
    """The continuation's tokens."""
    program: Program | None
    """What steers both."""
    head: str
    """A key that pairs share whose prompts are steered alike; empty where the prompt is not steered."""

    @property
    def needed(self) -> int:
        """Tokens whose forward is needed: none comes after the last one."""
        return len(self.prompt) + len(self.ids) - 1


def pair(core: Core, prompt: Encoded, text: str | Sequence[int], bias: Bias) -> Pair:
    """A prompt and its continuation, tokenised by itself; PromptError for none, or more than the context
    holds."""
    ids = said_of(core.model, prompt, text)
    program = program_of(bias, core.vectors, prompt, core.model)
    steered = program is not None and any(max(schedule.ranks) >= 0 for schedule in program.schedules)
    return Pair(prompt, ids, heard(core.model, program, prompt, ids), bias.key() if steered else "")


def score(core: Core, pairs: Sequence[Pair]) -> list[Float[np.ndarray, " tokens"]]:
    """The score verb on pairs; see `Engine.score`. What several pairs share is run once: a prompt steered
    alike, and of one text under many biases the blocks before the first that any of them steers."""
    groups: dict[tuple[Encoded | tuple[int, ...], str], list[int]] = {}
    for index, pair in enumerate(pairs):
        # A bias may go by roles and spans, which prompts of the same tokens need not share.
        groups.setdefault((pair.prompt if pair.head else pair.prompt.ids, pair.head), []).append(index)
    shared = [group for group in groups.values() if len(group) > 1]
    texts: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
    for index in (group[0] for group in groups.values() if len(group) == 1):
        texts.setdefault((pairs[index].prompt.ids, pairs[index].ids), []).append(index)
    one_text = [group for group in texts.values() if len(group) > 1]
    single = [group[0] for group in texts.values() if len(group) == 1]
    scores: dict[int, np.ndarray] = {}
    for group in (*one_text, single):
        for batch in _alike(core, pairs, group):
            scores |= zip(batch, _whole(core, [pairs[i] for i in batch]), strict=True)
    for group in shared:
        scores |= zip(group, _after(core, [pairs[i] for i in group]), strict=True)
    return [scores[index] for index in range(len(pairs))]


def _alike(core: Core, pairs: Sequence[Pair], indices: Sequence[int]) -> Iterator[list[int]]:
    """Batches of like length whose tokens and logits are within what may be held."""
    for batch in batches([pairs[i].needed for i in indices], core.budget):
        rows: list[int] = []
        for index in (indices[i] for i in batch):
            if rows and _logits(core, [pairs[i] for i in [*rows, index]]) > MOST_LOGITS:
                yield rows
                rows = []
            rows.append(index)
        yield rows


def _logits(core: Core, pairs: Sequence[Pair]) -> int:
    first, end = _columns(pairs)
    return len(pairs) * (end - first) * vocabulary(core)


def _columns(pairs: Sequence[Pair]) -> tuple[int, int]:
    """The range of columns at which some pair's tokens are foretold, in rows padded on the right."""
    return min(len(pair.prompt) for pair in pairs) - 1, max(pair.needed for pair in pairs)


def _whole(core: Core, pairs: Sequence[Pair]) -> list[Float[np.ndarray, " tokens"]]:
    """Each row prompt and continuation at once."""
    ids = right([[*pair.prompt.ids, *pair.ids[:-1]] for pair in pairs], 0)
    where = places([pair.needed for pair in pairs], "right", ids.shape[1])
    edits = batch_edits([pair.program for pair in pairs], where)
    first, end = _columns(pairs)
    rows = 1
    if edits and all((pair.prompt.ids, pair.ids) == (pairs[0].prompt.ids, pairs[0].ids) for pair in pairs):
        ids, where, rows = ids[:1], where[:1], len(pairs)
    with core.turn():
        logits = core.forward.logits(ids, where, None, edits, (first, end), rows)
        starts = [len(pair.prompt) - 1 - first for pair in pairs]
        return [
            _gathered(logits[row, start : start + len(pair.ids)], pair.ids)
            for row, (start, pair) in enumerate(zip(starts, pairs, strict=True))
        ]


def _after(core: Core, pairs: Sequence[Pair]) -> list[Float[np.ndarray, " tokens"]]:
    """Pairs of one prompt, steered alike: it once, then all continuations beside each other."""
    prompt = pairs[0].prompt
    head = torch.arange(len(prompt))[None]
    scores: dict[int, np.ndarray] = {}
    longer = [i for i, pair in enumerate(pairs) if len(pair.ids) > 1]
    most = max(1, min(core.budget, MOST_LOGITS // vocabulary(core)))
    parts = [[longer[i] for i in part] for part in batches([len(pairs[i].ids) - 1 for i in longer], most)]
    with core.turn():
        cache = kv.new_cache(core.model.network.config, "dynamic", len(prompt))
        edits = batch_edits([pairs[0].program], head)
        ids = torch.tensor([prompt.ids])
        logits = core.forward.logits(ids, head, cache, edits, (len(prompt) - 1, len(prompt)))[0]
        for i, pair in enumerate(pairs):
            scores[i] = _gathered(logits, pair.ids[:1])
        for part in parts:
            own = cache if part is parts[-1] else copy.deepcopy(cache)
            for i, rest in zip(part, _rest(core, [pairs[i] for i in part], own), strict=True):
                scores[i] = np.concatenate([scores[i], rest])
    return [scores[i] for i in range(len(pairs))]


def _rest(core: Core, pairs: Sequence[Pair], cache: Cache) -> list[Float[np.ndarray, " tokens"]]:
    """All but the first token of continuations of the one prompt that is in the cache."""
    ids = right([pair.ids[:-1] for pair in pairs], 0)
    own = places([len(pair.ids) - 1 for pair in pairs], "right", ids.shape[1])
    where = torch.where(own < 0, -1, own + len(pairs[0].prompt))
    edits = batch_edits([pair.program for pair in pairs], where)
    rows, beyond = 1, -1
    if edits and apart(core, cache) and all(pair.ids == pairs[0].ids for pair in pairs):
        ids, where, rows, beyond = ids[:1], where[:1], len(pairs), min(edits)
    same = torch.zeros(len(pairs), dtype=torch.long, device=core.model.device)
    kv.select(cache, same, beyond=beyond)
    logits = core.forward.logits(ids, where, cache, edits, (0, ids.shape[1]), rows)
    return [_gathered(logits[row, : len(pair.ids) - 1], pair.ids[1:]) for row, pair in enumerate(pairs)]


def apart(core: Core, cache: Cache) -> bool:
    """Whether each block has a layer of the cache to itself. Where blocks share one, no layer can be told to
    be of a block before the first steered."""
    return len(cache.layers) == len(core.model.layers)


def vocabulary(core: Core) -> int:
    """Tokens that a network foretells."""
    return int(core.model.network.config.get_text_config().vocab_size)


def _gathered(logits: Float[Tensor, "tokens vocab"], ids: Sequence[int]) -> Float[np.ndarray, " tokens"]:
    chosen = torch.tensor(ids, device=logits.device)[:, None]
    values: np.ndarray = logits.float().log_softmax(-1).gather(-1, chosen)[:, 0].cpu().numpy()
    return values
