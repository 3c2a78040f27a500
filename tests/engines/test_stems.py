"""What many prompts begin with is run once, and what is left of them with little padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from affekt.engines.transformers import next_token
from affekt.engines.transformers.kv import cuts, front, new_cache, select
from affekt.engines.transformers.stems import stems
from tests.engines.small import engine, hooks, opened
from tests.models import FAMILIES, HYBRIDS

TEMPLATE = "Which of these would you rather do this morning, when nobody is about: "
FIRSTS = (
    "mend the old net that has been hanging behind the house since the last of the storms",
    "write a letter to her, though nobody knows whether she still lives in that small town",
    "walk by the calm river until the bridge, and come back when the boats are tied up again",
)
RESTS = ("sleep", "cook for the whole house", "sit still", "count the boats")
PAIRS = [f"{TEMPLATE}{one}, or {other}?" for one in FIRSTS for other in RESTS]


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_of_several_fronts_are_as_each_alone(family: str) -> None:
    one = engine(family)
    alone = np.stack([one.next_token([prompt])[0] for prompt in PAIRS])
    np.testing.assert_allclose(one.next_token(PAIRS), alone, atol=2e-4)


def test_what_fronts_begin_with_is_run_once_and_what_comes_after_together(
    forwards: list[tuple[int, int]],
) -> None:
    one = engine()
    one.next_token(PAIRS)
    assert [rows for rows, _ in forwards] == [1, len(FIRSTS), *[len(RESTS)] * len(FIRSTS)]
    tokens = one.model.tokenizer(PAIRS)["input_ids"]
    stem = min(
        next(i for i, (a, b) in enumerate(zip(tokens[0], t, strict=False)) if a != b) for t in tokens[1:]
    )
    assert forwards[0][1] <= stem + 1
    forwards.clear()
    small = engine(token_budget=2 * max(map(len, tokens)))
    np.testing.assert_allclose(small.next_token(PAIRS), one.next_token(PAIRS), atol=1e-4)
    assert max(rows for rows, _ in forwards[: 2 + len(FIRSTS)]) >= 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fronts_cache_is_that_of_the_front_alone(family: str) -> None:
    one = engine(family)
    tokens = [tuple(one.model.tokenizer(TEMPLATE + first)["input_ids"]) for first in FIRSTS]
    found = dict(stems(one._core, [(own, 4) for own in tokens]))
    assert sorted(found) == [0, 1, 2]
    for which, own in enumerate(tokens):
        with one._core.turn():
            plain = new_cache(one.model.network.config, "dynamic", len(own))
            one._core.forward(torch.tensor([own]), torch.arange(len(own))[None], None, plain, {})
        for mine, theirs in zip(found[which].layers, plain.layers, strict=True):
            if getattr(theirs, "keys", None) is not None:
                torch.testing.assert_close(mine.keys, theirs.keys, atol=1e-4, rtol=1e-4)
                torch.testing.assert_close(mine.values, theirs.values, atol=1e-4, rtol=1e-4)
    assert cuts(new_cache(one.model.network.config, "dynamic", 1)) == (family not in HYBRIDS)


def test_the_front_of_a_row() -> None:
    config = opened().network.config
    cache = new_cache(config, "dynamic", 6)
    keys, values = torch.randn(2, 2, 6, 8), torch.randn(2, 2, 6, 8)
    for layer in range(len(cache.layers)):
        cache.update(keys, values, layer)
    own = front(cache, 1, 4, new_cache(config, "dynamic", 4, 3))
    select(own, torch.zeros(3, dtype=torch.long))
    for layer in own.layers:
        assert torch.equal(layer.keys, keys[1:, :, :4].expand(3, -1, -1, -1))
        assert torch.equal(layer.values, values[1:, :, :4].expand(3, -1, -1, -1))


def test_rests_are_parted_where_padding_costs_more_than_a_forward() -> None:
    def lengths(sizes: list[int], budget: int = 1024) -> list[list[int]]:
        core = engine(token_budget=budget)._core
        rests = [(*range(100 * k, 100 * k + size),) for k, size in enumerate(sizes)]
        return [[sizes[k] for k in part] for part in next_token._parts(core, rests)]

    assert lengths([5, 7, 6]) == [[7, 6, 5]]
    assert lengths([80, 10, 10]) == [[80], [10, 10]]
    assert lengths([74, 10]) == [[74, 10]]
    assert lengths([20] * 3 + [16] * 17) == [[20] * 3 + [16] * 16, [16]]
    assert lengths([8] * 5, budget=16) == [[8, 8], [8, 8], [8]]


@pytest.mark.parametrize("with_head", [True, False])
def test_the_logits_at_one_column_of_each_row(with_head: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    core = engine()._core
    ids, ends = torch.arange(30).reshape(3, 10), [9, 4, 6]
    where = torch.arange(10)[None].expand(3, -1)
    made: list[int] = []
    head = core.model.network.get_output_embeddings()
    with core.turn():
        whole = core.forward.logits(ids, where, None, {}, (0, 10))
    handle = head.register_forward_hook(lambda _m, given, _out: made.append(given[0].shape[1]))
    if not with_head:
        monkeypatch.setattr(core.model.network, "get_output_embeddings", lambda: None)
    try:
        with core.turn():
            got = core.forward.last(ids, where, None, {}, ends)
    finally:
        handle.remove()
    torch.testing.assert_close(got, whole[range(3), ends])
    assert made == [1 if with_head else 6]
    assert hooks(core.model) == 0
