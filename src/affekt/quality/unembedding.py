"""How a model turns a residual into logits: the final norm and the unembedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from affekt.models.model import Model

__all__ = ["Unembedding", "unembedding"]

CHUNK = 1 << 14
"""Tokens whose unembedding is turned to float32 at a time."""


@dataclass(frozen=True, eq=False)
class Unembedding:
    """What is needed to look at a direction through a model's vocabulary."""

    matrix: Float[Tensor, "vocabulary d_model"]
    """The unembedding, in the model's own dtype and place."""
    norm: nn.Module | None
    """The norm before it; None where none was found."""
    tokenizer: Any
    """To find the first token of a word."""

    def logits(
        self, directions: Float[Tensor, "rows d_model"], with_norm: bool
    ) -> Float[Tensor, "rows vocabulary"]:
        """The direct effect of directions on the logits, up to a positive factor for each.

        Args:
            directions: in the residual space of the last layer.
            with_norm: whether they go through the final norm, as a residual does; its bias is left out.
        """
        rows = directions.to(self.matrix)
        if with_norm and self.norm is not None:
            with torch.inference_mode():
                rows = (self.norm(rows) - self.norm(-rows)) / 2
        # In float32, since ranks among a vocabulary are finer than bfloat16; a part at a time, since it is
        # large.
        parts = [rows.float() @ part.float().T for part in torch.split(self.matrix, CHUNK)]
        return torch.cat(parts, dim=1).cpu()

    def first_token(self, word: str) -> int:
        """The first token of a word inside a sentence, with its leading space."""
        ids = self.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        # Some tokenizers make the space a token of its own, which says nothing of the word.
        said = [i for i in ids if self.tokenizer.decode([i]).strip()]
        return int(said[0] if said else ids[0])


def unembedding(model: Model) -> Unembedding:
    """The unembedding of a model, and the module that gives the last block's residual its final norm.

    The norm is found by what it does: of the modules that run after the last block, the last that keeps the
    width of the residual.
    """
    head: nn.Module = model.network.get_output_embeddings()  # type: ignore[no-untyped-call]
    matrix = cast(Tensor, head.weight)
    width, after = matrix.shape[1], _after_last_block(model)
    norms = [m for m in after if not list(m.children()) and _keeps_width(m, width)]
    return Unembedding(matrix.detach(), norms[-1] if norms else None, model.tokenizer)


def _after_last_block(model: Model) -> Sequence[nn.Module]:
    """Modules that run once the last block is done, in order."""
    inside = {id(m) for block in model.layers for m in block.modules()}
    seen: list[nn.Module] = []
    done: list[bool] = []
    handles = [model.layers[-1].register_forward_hook(lambda *_: done.append(True))]

    def hook(module: nn.Module, _args: Any, _output: Any) -> None:
        if done:
            seen.append(module)

    handles += [m.register_forward_hook(hook) for m in model.network.modules() if id(m) not in inside]
    try:
        with torch.inference_mode():
            model.network(input_ids=torch.zeros(1, 2, dtype=torch.long, device=model.device))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _keeps_width(module: nn.Module, width: int) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.shape == (width,)
