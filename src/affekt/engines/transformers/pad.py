"""Sequences of different lengths as one batch, and batches of like length within a budget of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["batches", "default_budget", "left", "places", "right"]


def right(rows: Sequence[Sequence[int]], pad: int) -> Int[Tensor, "batch tokens"]:
    """Token ids padded on the right. Under causal attention nothing sees that padding: it needs no mask."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])


def left(rows: Sequence[Sequence[int]], pad: int, width: int) -> Int[Tensor, "batch tokens"]:
    """Token ids padded on the left to a width, so that all rows end together."""
    return torch.tensor([[*[pad] * (width - len(row)), *row] for row in rows])


def places(lengths: Sequence[int], side: Literal["left", "right"], width: int) -> Int[Tensor, "batch tokens"]:
    """Each token's place in its own row, from 0; -1 for padding, which is on that side."""
    sizes = torch.tensor(lengths)[:, None]
    columns = torch.arange(width)[None]
    own = columns if side == "right" else columns - (width - sizes)
    return torch.where((own >= 0) & (own < sizes), own, -1)


def default_budget(device: torch.device) -> int:
    """Tokens of one forward that a device is fastest with: on a CPU so few that a block's intermediate values
    stay in its caches, elsewhere enough to fill it."""
    return 1024 if device.type == "cpu" else 8192


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in batches of like length, longest first, of at most `budget` tokens with padding.

    The longest come first so that memory that does not suffice is found out at once. A sequence longer than
    the budget is a batch by itself."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
