"""The residual stream in what a vLLM decoder layer returns: one tensor, or two that must be summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from affekt.errors import SelfCheckError

__all__ = ["Stream", "find_blocks", "stream_of"]


class Stream:
    """The residual after a block. On a fused residual it is the sum of two tensors: the block's own output,
    not yet added, and what was there before. An edit goes to the second once; a reading is of the sum."""

    def __init__(
        self, carrier: Float[Tensor, "tokens d_model"], other: Float[Tensor, "tokens d_model"] | None
    ) -> None:
        self.carrier, self.other = carrier, other

    @property
    def fused(self) -> bool:
        """Whether it is in two parts."""
        return self.other is not None

    def total(self, where: Int[Tensor, " picked"] | slice) -> Float[Tensor, "picked d_model"]:
        """The true residual of some tokens, float32."""
        total = self.carrier[where].float()
        return total if self.other is None else total + self.other[where].float()

    def add(self, delta: Float[Tensor, "tokens d_model"]) -> None:
        """Adds to the first tokens, in place; rounds once."""
        self.carrier[: len(delta)].add_(delta)

    def move(self, where: Int[Tensor, " picked"], by: Float[Tensor, "picked d_model"]) -> None:
        """Adds to some tokens, in place."""
        self.carrier[where] = (self.carrier[where].float() + by).to(self.carrier.dtype)


def stream_of(output: Any) -> Stream:
    """The residual in what a block returned.

    Raises:
        SelfCheckError: for an output of another kind.
    """
    if isinstance(output, Tensor):
        return Stream(output, None)
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], Tensor):
        second = output[1] if len(output) > 1 else None
        if second is None:
            return Stream(output[0], None)
        if isinstance(second, Tensor) and second.shape == output[0].shape:
            return Stream(second, output[0])
    raise SelfCheckError(
        f"a decoder layer returned {_told(output)}; expected a hidden state, or a pair of hidden state and "
        "residual: this model's residual stream cannot be found, so it can be neither read nor steered"
    )


def find_blocks(network: nn.Module, depth: int) -> dict[int, nn.Module]:
    """The decoder layers that this process holds, by their number in the whole model.

    Args:
        network: the model as vLLM runs it; layers of other pipeline stages are placeholders in it.
        depth: the number of decoder layers that the configuration states.

    Raises:
        SelfCheckError: where there is no list of so many layers, or several.
    """
    lists = [
        (name, list(module))
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth
    ]
    found = [(name, blocks) for name, blocks in lists if any(_real(block) for block in blocks)]
    outer = [item for item in found if not any(_within(item[0], other) for other, _ in found)]
    if len(outer) != 1:
        seen = ", ".join(name for name, _ in outer) or "none"
        raise SelfCheckError(
            f"{type(network).__name__}: expected one list of {depth} decoder layers, found {seen}; the vLLM "
            "engine cannot read or steer this model"
        )
    return {layer: block for layer, block in enumerate(outer[0][1]) if _real(block)}


def _real(block: nn.Module) -> bool:
    return type(block).__name__ != "PPMissingLayer" and any(True for _ in block.parameters())


def _within(name: str, other: str) -> bool:
    return name != other and name.startswith(other + ".")


def _told(output: Any) -> str:
    if isinstance(output, Sequence) and not isinstance(output, str):
        return f"{type(output).__name__} of {', '.join(type(part).__name__ for part in output) or 'nothing'}"
    return type(output).__name__
