"""Reading and editing the residual stream after a block, and forwards that stop early.

Layer `l` (from 0) is the residual stream after block `l`. The hooks are state of the network: while one
thread has some on it, another that enters `capture`, `edit`, `repeat` or `run_to` waits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from affekt.models.model import Model

__all__ = ["Edit", "Take", "capture", "edit", "position_arguments", "positions", "repeat", "run_to", "stream"]

Take: TypeAlias = Callable[[int, Float[Tensor, "batch tokens d_model"]], None]
"""Receives a layer and the residual after it."""

Edit: TypeAlias = Callable[[Float[Tensor, "batch tokens d_model"]], Float[Tensor, "batch tokens d_model"]]
"""Gives the residual that the next block shall see."""


class _Reached(BaseException):
    """Unwinds a forward whose deepest wanted block is done; it never leaves `run_to`."""


def stream(output: Any) -> Tensor:
    """The residual in what a block returned: the tensor itself, or the first of a tuple."""
    return cast(Tensor, output[0] if isinstance(output, (tuple, list)) else output)


@contextmanager
def capture(model: Model, layers: Sequence[int], take: Take) -> Iterator[None]:
    """While entered, every forward gives `take(layer, residual)` for the layers asked, edits included.

    Args:
        model: the opened model.
        layers: which layers, from 0; each once.
        take: called during the forward; it must copy what it keeps if it edits in place.

    Raises:
        IndexError: for a layer that the model has not; nothing is hooked then.
    """

    def hook_for(layer: int) -> Callable[..., None]:
        def hook(_block: nn.Module, _args: Any, output: Any) -> None:
            take(layer, stream(output))

        return hook

    blocks = {layer: model.layers[layer] for layer in _checked(model, layers)}
    with _hooked(model, [(block, hook_for(layer), False) for layer, block in blocks.items()]):
        yield


@contextmanager
def edit(model: Model, edits: Mapping[int, Edit]) -> Iterator[None]:
    """While entered, the residual after layer `l` is `edits[l](residual)` in every forward, cached or not.

    Edits run before any `capture`, whichever was entered first; of two nested edits of one layer the inner
    runs first. On exit, by an error too, the network is as it was.

    Args:
        model: the opened model.
        edits: per layer, from residual to residual of the same shape; the result gets the residual's dtype.

    Raises:
        IndexError: for a layer that the model has not.
        ValueError: during a forward, for an edit that changes the shape.
    """

    def hook_for(layer: int, change: Edit) -> Callable[..., Any]:
        def hook(_block: nn.Module, _args: Any, output: Any) -> Any:
            before = stream(output)
            after = change(before)
            if after.shape != before.shape:
                raise ValueError(
                    f"the edit of layer {layer} made {tuple(after.shape)} of a residual {tuple(before.shape)}"
                )
            after = after.to(before.dtype)
            return (after, *output[1:]) if isinstance(output, (tuple, list)) else after

        return hook

    _checked(model, list(edits))
    with _hooked(
        model, [(model.layers[layer], hook_for(layer, change), True) for layer, change in edits.items()]
    ):
        yield


@contextmanager
def repeat(model: Model, layer: int, rows: int) -> Iterator[None]:
    """While entered, a batch of one row is `rows` equal ones after block `layer`.

    Rows that differ only by what is done to them from there on share the blocks before it. Enter it inside
    `edit`, so that the edits see all the rows.

    Raises:
        IndexError: for a layer that the model has not.
    """

    def hook(_block: nn.Module, _args: Any, output: Any) -> Any:
        many = stream(output).expand(rows, -1, -1).clone()
        return (many, *output[1:]) if isinstance(output, (tuple, list)) else many

    [layer] = _checked(model, [layer])
    with _hooked(model, [(model.layers[layer], hook, True)]):
        yield


def run_to(
    model: Model, ids: Int[Tensor, "batch tokens"], mask: Int[Tensor, "batch tokens"], deepest: int
) -> None:
    """A forward that ends right after block `deepest`: no later block, no final norm, no logits, no KV cache.

    Args:
        model: the opened model; what the forward is for is hooked by `capture` and `edit`.
        ids: token ids, padded on either side.
        mask: 1 for tokens, 0 for padding.
        deepest: the last layer to run, from 0.
    """

    def halt(_block: nn.Module, _args: Any, _output: Any) -> None:
        raise _Reached

    [deepest] = _checked(model, [deepest])
    with _hooked(model, [(model.layers[deepest], halt, False)]), torch.no_grad():
        try:
            model.network(
                input_ids=ids, attention_mask=mask, use_cache=False, **position_arguments(model.network, mask)
            )
        except _Reached:
            return


def positions(mask: Int[Tensor, "batch tokens"]) -> Int[Tensor, "batch tokens"]:
    """Each token's place in its own row, from 0, whichever side the padding is on."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def position_arguments(network: nn.Module, mask: Int[Tensor, "batch tokens"]) -> dict[str, Tensor]:
    """`position_ids` for a padded batch, where the network takes them; left padding needs them."""
    takes = "position_ids" in inspect.signature(network.forward).parameters
    return {"position_ids": positions(mask)} if takes else {}


def _checked(model: Model, layers: Sequence[int]) -> list[int]:
    depth = len(model.layers)
    for layer in layers:
        if not 0 <= layer < depth:
            raise IndexError(f"layer {layer} of a model with layers 0 to {depth - 1}")
    return list(layers)


@contextmanager
def _hooked(model: Model, hooks: Sequence[tuple[nn.Module, Callable[..., Any], bool]]) -> Iterator[None]:
    handles: list[RemovableHandle] = []
    with model.turn:
        try:
            for block, hook, first in hooks:
                handles.append(block.register_forward_hook(hook, prepend=first))
            yield
        finally:
            for handle in handles:
                handle.remove()
