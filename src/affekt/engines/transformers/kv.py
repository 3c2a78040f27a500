"""The cache of a batch whose rows come, leave and go back: rows end together, shorter ones are padded left.

Keys carry the positions they were computed at, so moving a row within the cache changes nothing for it. What
a cache can do depends on its layers:

- attention over everything or over a sliding window: all of it. Windows keep their whole past here, since a
  row that goes back or is moved needs what lies before the window; the mask does the windowing.
- states of linear attention and convolutions: all of it too; they have no length, and `Trail` knows earlier
ones. - anything else, and `static` caches: rows may leave; none may join, and none can go back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig, StaticCache
from transformers.cache_utils import (
    Cache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
)

__all__ = [
    "CacheKind",
    "Stretch",
    "absorb",
    "cuts",
    "drop",
    "front",
    "joins",
    "linear",
    "new_cache",
    "select",
    "shift",
]

CacheKind: TypeAlias = Literal["dynamic", "static"]
"""`dynamic` grows and takes new rows in; `static` is allocated once, at full length."""

ROOM = 256
"""Columns that a full store grows by."""


class Stretch(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values with room to grow: a step writes its column and copies nothing that is there."""

    def __init__(self, room: int = ROOM) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._room = room
        self._stores: tuple[Tensor, Tensor] | None = None
        self._length = 0

    def update(
        self,
        key_states: Float[Tensor, "batch heads tokens key"],
        value_states: Float[Tensor, "batch heads tokens value"],
        *_args: Any,
        **_kwargs: Any,
    ) -> tuple[Float[Tensor, "batch heads length key"], Float[Tensor, "batch heads length value"]]:
        """Appends a forward's keys and values; returns all of them."""
        start, self._length = self._length, self._length + key_states.shape[-2]
        if self._stores is None or self._length > self._stores[0].shape[-2]:
            self._grow(key_states, value_states, start)
        assert self._stores is not None
        keys, values = self._stores
        keys[:, :, start : self._length] = key_states
        values[:, :, start : self._length] = value_states
        return self._show()

    def get_seq_length(self) -> int:
        """Columns filled, padding included."""
        return self._length

    def select(self, rows: Int[Tensor, " rows"], trim: int) -> None:
        """Keeps these rows, in this order, without the first `trim` columns."""
        if self._stores is None:
            return
        own, length = rows.to(self._stores[0].device), self._length - trim
        room = min(self._stores[0].shape[-2] - trim, length + ROOM)
        keys, values = (
            _moved(_rows(store[:, :, trim : self._length], own), length, room) for store in self._stores
        )
        self._stores, self._length = (keys, values), length
        self._show()

    def absorb(self, other: Stretch) -> None:
        """Takes the rows of another batch in, after its own; the shorter of the two is padded left."""
        if self._stores is None or other._stores is None:
            raise ValueError("a cache that has seen no token cannot be merged")
        length = max(self._length, other._length)
        room = max(length + ROOM, self._stores[0].shape[-2])
        parts = ((self._stores, self._length), (other._stores, other._length))
        keys, values = (
            torch.cat([_moved(stores[which][:, :, :own], length, room) for stores, own in parts])
            for which in (0, 1)
        )
        self._stores, self._length = (keys, values), length
        self._show()

    def front(self, row: int, columns: int) -> tuple[Tensor, Tensor]:
        """The keys and values of one row's first columns, a batch of one."""
        assert self._stores is not None
        keys, values = (store[row : row + 1, :, :columns] for store in self._stores)
        return keys, values

    def _grow(self, key_states: Tensor, value_states: Tensor, filled: int) -> None:
        room = self._room if self._stores is None else filled + max(ROOM, filled // 2)
        shape = (*key_states.shape[:2], max(room, self._length))
        keys = key_states.new_empty((*shape, key_states.shape[-1]))
        values = value_states.new_empty((*shape, value_states.shape[-1]))
        if self._stores is not None:
            keys[:, :, :filled] = self._stores[0][:, :, :filled]
            values[:, :, :filled] = self._stores[1][:, :, :filled]
        self._stores = (keys, values)
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True

    def _show(self) -> tuple[Tensor, Tensor]:
        assert self._stores is not None
        self.keys, self.values = (store[:, :, : self._length] for store in self._stores)
        return self.keys, self.values


def _moved(
    filled: Float[Tensor, "batch heads own width"], length: int, room: int
) -> Float[Tensor, "batch heads room width"]:
    """A store with these columns at the end of its first `length`, zeros before them."""
    batch, heads, own, width = filled.shape
    store = filled.new_empty((batch, heads, room, width))
    store[:, :, : length - own] = 0
    store[:, :, length - own : length] = filled
    return store


def _rows(
    filled: Float[Tensor, "batch heads own width"], rows: Int[Tensor, " rows"]
) -> Float[Tensor, "rows heads own width"]:
    """These rows; of a batch of one no copy is made."""
    return filled.expand(len(rows), -1, -1, -1) if len(filled) == 1 else filled.index_select(0, rows)


def joins(config: PreTrainedConfig) -> bool:
    """Whether a dynamic cache of this network takes new rows in."""
    text = config.get_text_config(decoder=True)
    if getattr(text, "attention_chunk_size", None) is not None:
        return False
    movable = (DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionLayer)
    return all(type(layer) in movable for layer in DynamicCache(config=config).layers)


def new_cache(config: PreTrainedConfig, kind: CacheKind, length: int, more: int = 0) -> Cache:
    """An empty cache.

    Args:
        config: the network's.
        kind: of cache.
        length: columns of the prompts.
        more: columns that come after. A `static` cache holds these and no more.
    """
    if kind == "static":
        return StaticCache(config=config, max_cache_len=length + more)
    cache = DynamicCache(config=config)
    if joins(config):
        room = length + min(more, ROOM)
        cache.layers = [Stretch(room) if isinstance(own, DynamicLayer) else own for own in cache.layers]
    return cache


def linear(cache: Cache) -> Iterator[LinearAttentionLayer]:
    """The layers that keep a state instead of a past."""
    return (layer for layer in cache.layers if isinstance(layer, LinearAttentionLayer))


def select(cache: Cache, rows: Int[Tensor, " rows"], trim: int = 0, beyond: int = -1) -> None:
    """Keeps these rows, in this order; a row may come more than once.

    Args:
        cache: of any kind.
        rows: indices of rows.
        trim: leading columns to cut off, padding in all of the rows; 0 where the cache does not join.
        beyond: layers up to this one stay as they are.
    """
    for layer in cache.layers[beyond + 1 :]:
        if isinstance(layer, Stretch):
            layer.select(rows, trim)
        else:
            layer.reorder_cache(cast(torch.LongTensor, rows))


def cuts(cache: Cache) -> bool:
    """Whether `front` can take a row's first columns out of it: no layer keeps a state instead of a past."""
    return all(isinstance(layer, Stretch) for layer in cache.layers)


def front(cache: Cache, row: int, columns: int, into: Cache) -> Cache:
    """Puts the first columns of one row into an empty cache of the same network, and returns that; both
    `cuts`."""
    for index, layer in enumerate(cache.layers):
        if isinstance(layer, Stretch) and layer.get_seq_length():
            into.update(*layer.front(row, columns), index)
    return into


def absorb(cache: Cache, other: Cache) -> None:
    """Takes the rows of another cache in, after its own ones; both are of one network, and it joins."""
    for one, two in zip(cache.layers, other.layers, strict=True):
        if isinstance(one, Stretch) and isinstance(two, Stretch):
            one.absorb(two)
    for mine, joining in zip(linear(cache), linear(other), strict=True):
        for states, more in (
            (mine.conv_states, joining.conv_states),
            (mine.recurrent_states, joining.recurrent_states),
        ):
            for i, state in states.items():
                if state is not None:
                    states[i] = torch.cat([state, cast(Tensor, more[i])])


def shift(cache: Cache, row: int, front: int, columns: int) -> None:
    """Moves the first `front` tokens of one row to the right by the `columns` of padding that follow them."""
    if not columns:
        return
    for layer in cache.layers:
        if isinstance(layer, Stretch):
            for store in (layer.keys, layer.values):
                assert store is not None
                store[row, :, columns : columns + front] = store[row, :, :front].clone()


def drop(cache: Cache, row: int, columns: int) -> None:
    """Takes the last `columns` tokens of one row away; what is left of it moves to the end.

    States of linear attention are `Trail`'s to put back.
    """
    for layer in cache.layers:
        if isinstance(layer, Stretch):
            for store in (layer.keys, layer.values):
                assert store is not None
                store[row, :, columns:] = store[row, :, :-columns].clone()
