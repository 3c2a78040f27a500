"""A network with a fused residual as vLLM's models have, and the scheduler's outputs that drive it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from affekt.engines.vllm.channel import Outbox
from affekt.engines.vllm.order import FIELD, Order

__all__ = ["Fused", "Sent", "output"]

WIDTH, DEPTH = 32, 4


class Layer(nn.Module):
    """Adds a function of the true residual; returns its own part and the residual before it, or the sum."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.inner, self.fused = nn.Linear(WIDTH, WIDTH), fused

    def forward(self, hidden: Tensor, residual: Tensor | None) -> Any:
        total = hidden if residual is None else hidden + residual
        own = torch.tanh(self.inner(total))
        return (own, total) if self.fused else own + total


class Fused(nn.Module):
    """Embeds ids and runs the layers over flat tokens."""

    def __init__(self, fused: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(64, WIDTH)
        self.layers = nn.ModuleList(Layer(fused) for _ in range(DEPTH))
        self.fused = fused

    def forward(self, input_ids: Tensor, positions: Tensor) -> Tensor:
        hidden, residual = self.embed(input_ids) + 0.01 * positions[:, None], None
        for layer in self.layers:
            out = layer(hidden, residual)
            hidden, residual = out if self.fused else (out, None)
        return hidden if residual is None else hidden + residual


class Sent(Outbox):
    """An outbox that keeps what is sent."""

    def __init__(self) -> None:
        self.lost = 0
        self.messages: list[tuple[dict[str, Any], Any]] = []

    def send(self, header: Mapping[str, Any], values: Any = None) -> None:
        self.messages.append((dict(header), values))


def output(
    counts: Mapping[str, int],
    new: Mapping[str, tuple[int, Order | None]] | None = None,
    cached: Mapping[str, int] | None = None,
    finished: Sequence[str] = (),
) -> Any:
    """A `SchedulerOutput`: new rows with their first position and order, running ones with theirs."""
    cached = cached or {}
    return SimpleNamespace(
        scheduled_new_reqs=[
            SimpleNamespace(
                req_id=name,
                num_computed_tokens=first,
                prompt_token_ids=[0] * 4,
                sampling_params=SimpleNamespace(
                    extra_args=None if order is None else {FIELD: order.to_json()}
                ),
            )
            for name, (first, order) in (new or {}).items()
        ],
        scheduled_cached_reqs=SimpleNamespace(
            req_ids=list(cached), num_computed_tokens=list(cached.values()), resumed_req_ids=set()
        ),
        num_scheduled_tokens=dict(counts),
        finished_req_ids=set(finished),
    )
