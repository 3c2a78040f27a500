"""Finding the decoder blocks of a network by what it does, with no table of architectures.

A stack of blocks is a list of modules that one forward runs in order, once each, every one fed by what the
one before it gave, all at the width of the token embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from affekt.errors import SelfCheckError

__all__ = ["find"]

PROBE_TOKENS = 3


def find(network: PreTrainedModel) -> tuple[nn.Module, ...]:
    """The decoder blocks in order, proved by one forward over three tokens.

    Lists as long as the configuration's number of layers are tried first, then all others; the longest that
    chains wins.

    Raises:
        SelfCheckError: when no list of modules chains; says which lists were tried.
    """
    lists = [(name, tuple(module)) for name, module in network.named_modules() if _is_list(module)]
    depth = getattr(network.config.get_text_config(), "num_hidden_layers", None)
    expected = [item for item in lists if len(item[1]) == depth]
    others = [item for item in lists if len(item[1]) > 1 and len(item[1]) != depth]
    for candidates in (expected, others):
        chains = _chaining(network, [blocks for _, blocks in candidates])
        if chains:
            return max(chains, key=len)
    tried = ", ".join(
        f"{name} ({len(blocks)} x {type(blocks[0]).__name__})" for name, blocks in lists if blocks
    )
    raise SelfCheckError(
        f"no decoder blocks found in {type(network).__name__}: expected {depth} modules run in order, each "
        f"fed by the one before; tried {tried or 'nothing, it has no list of modules'}"
    )


def _is_list(module: nn.Module) -> bool:
    return isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module) > 0


def _chaining(
    network: PreTrainedModel, stacks: Sequence[tuple[nn.Module, ...]]
) -> list[tuple[nn.Module, ...]]:
    """Those of the stacks that one forward runs as a chain."""
    table = cast(Tensor, network.get_input_embeddings().weight)
    order: list[nn.Module] = []
    received: dict[nn.Module, list[Tensor]] = {}
    returned: dict[nn.Module, Tensor | None] = {}

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        order.append(module)
        received[module] = [tensor.clone() for tensor in _tensors((args, tuple(kwargs.values())))]

    def after(module: nn.Module, _args: Any, output: Any) -> None:
        first = next(_tensors(output), None)
        returned[module] = None if first is None else first.clone()

    handles = []
    try:
        for module in {module: None for stack in stacks for module in stack}:
            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after))
        if handles:
            ids = torch.arange(PROBE_TOKENS, device=table.device)[None] % len(table)
            with torch.no_grad():
                network(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()

    def chains(stack: tuple[nn.Module, ...]) -> bool:
        members = set(stack)
        if [module for module in order if module in members] != list(stack):
            return False
        outputs = [returned.get(block) for block in stack]
        if any(out is None or out.shape != (1, PROBE_TOKENS, table.shape[-1]) for out in outputs):
            return False
        return all(
            any(_same(out, tensor) for tensor in received[block])
            for out, block in zip(outputs[:-1], stack[1:], strict=True)
        )

    return [stack for stack in stacks if chains(stack)]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def _same(out: Tensor | None, other: Tensor) -> bool:
    return out is not None and out.shape == other.shape and torch.equal(out, other.to(out.device))
