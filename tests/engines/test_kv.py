from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, StaticCache

from affekt.engines.transformers.kv import ROOM, Stretch, absorb, drop, joins, linear, new_cache, select
from tests.engines.small import opened
from tests.models import FAMILIES, HYBRIDS


def states(rows: int, tokens: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(rows, 2, tokens, 8, generator=generator)
    return keys, torch.randn(rows, 2, tokens, 4, generator=generator)


def test_it_holds_what_a_growing_cache_holds() -> None:
    ours, theirs = Stretch(room=4), DynamicCache()
    for step, tokens in enumerate((3, 1, 1, 7, ROOM, 1)):
        keys, values = states(2, tokens, step)
        mine = ours.update(keys, values)
        for a, b in zip(mine, theirs.update(keys, values, 0), strict=True):
            assert torch.equal(a, b)
    assert ours.get_seq_length() == theirs.get_seq_length() == 13 + ROOM
    assert ours.get_mask_sizes(1) == theirs.get_mask_sizes(1, 0)


def test_a_step_copies_nothing_that_is_there() -> None:
    layer = Stretch(room=8)
    layer.update(*states(1, 3))
    before = layer.keys.data_ptr()  # type: ignore[union-attr]
    layer.update(*states(1, 1))
    assert layer.keys.data_ptr() == before  # type: ignore[union-attr]


def test_rows_leave_join_and_go_back() -> None:
    network = opened().network
    cache, other = (new_cache(network.config, "dynamic", 8) for _ in range(2))
    keys, values = states(3, 6)
    more_keys, more_values = states(1, 4, 1)
    for layer in range(len(cache.layers)):
        cache.update(keys, values, layer)
        other.update(more_keys, more_values, layer)
    select(cache, torch.tensor([2, 0, 0]), trim=1)
    absorb(cache, other)
    for layer in cache.layers:
        assert layer.keys.shape == (4, 2, 5, 8)
        assert torch.equal(layer.keys[:3], keys[[2, 0, 0], :, 1:])
        assert torch.equal(layer.values[3, :, 1:], more_values[0])
        assert (layer.keys[3, :, 0] == 0).all()
    drop(cache, 1, 2)
    for layer in cache.layers:
        assert torch.equal(layer.keys[1, :, 2:], keys[0, :, 1:4])
        assert torch.equal(layer.keys[0], keys[2, :, 1:])
        assert torch.equal(layer.values[2], values[0, :, 1:])
    with pytest.raises(ValueError, match="no token"):
        absorb(cache, new_cache(network.config, "dynamic", 8))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_familys_cache_takes_rows_in(family: str) -> None:
    config = opened(family).network.config
    assert joins(config)
    assert any(linear(new_cache(config, "dynamic", 8))) == (family in HYBRIDS)
    if family not in HYBRIDS:
        assert isinstance(new_cache(config, "static", 8), StaticCache)


def test_attention_in_chunks_does_not() -> None:
    config = opened("llama").network.config
    config = type(config)(**config.to_dict() | {"attention_chunk_size": 64})
    assert not joins(config)
    assert not any(isinstance(layer, Stretch) for layer in new_cache(config, "dynamic", 8).layers)
