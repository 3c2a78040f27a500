"""Caches of the fronts that groups of prompts share; what several fronts begin with is in turn run once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch
from transformers.cache_utils import Cache

from affekt.engines.transformers import kv
from affekt.engines.transformers.core import Core
from affekt.engines.transformers.front import alike, common
from affekt.engines.transformers.pad import places, right

__all__ = ["Front", "stems"]

Front: TypeAlias = tuple[tuple[int, ...], int]
"""Tokens of which nothing is steered, and how many columns will come after them."""


def stems(core: Core, wanted: Sequence[Front]) -> Iterator[tuple[int, Cache]]:
    """Each front's place in the list and its cache of one row, in an order of its own.

    What several fronts begin with, such as a template and a question, is run once, and what comes after it
    for as many fronts beside each other as a usual forward holds.
    """
    for bunch in alike([tokens for tokens, _ in wanted]):
        longest = max(len(wanted[k][0]) for k in bunch)
        most = max(1, core.budget // longest) if kv.cuts(_new(core, 1, 0)) else 1
        for at in range(0, len(bunch), most):
            some = bunch[at : at + most]
            if len(some) > 1:
                yield from _together(core, wanted, some)
            else:
                yield some[0], _alone(core, *wanted[some[0]])


def _alone(core: Core, tokens: Sequence[int], more: int) -> Cache:
    cache = _new(core, len(tokens), more)
    with core.turn():
        core.forward(torch.tensor([tokens]), torch.arange(len(tokens))[None], None, cache, {})
    return cache


def _together(core: Core, wanted: Sequence[Front], some: Sequence[int]) -> Iterator[tuple[int, Cache]]:
    rows = [wanted[k][0] for k in some]
    stem = common(rows)
    rests = [row[stem:] for row in rows]
    lengths = [len(rest) for rest in rests]
    cache = _alone(core, rows[0][:stem], max(lengths))
    ids = right(rests, 0)
    where = places(lengths, "right", ids.shape[1])
    with core.turn():
        kv.select(cache, torch.zeros(len(some), dtype=torch.long, device=core.model.device))
        core.forward(ids, torch.where(where < 0, -1, where + stem), None, cache, {})
    for row, k in enumerate(some):
        tokens, more = wanted[k]
        with core.turn():
            own = kv.front(cache, row, len(tokens), _new(core, len(tokens), more))
        yield k, own


def _new(core: Core, length: int, more: int) -> Cache:
    return kv.new_cache(core.model.network.config, "dynamic", length, more)
