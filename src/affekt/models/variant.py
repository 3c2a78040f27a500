"""A model under another precision: `NAME@float32`, or its weights rounded to few bits: `NAME@int8`."""

from __future__ import annotations

import hashlib

import torch
from jaxtyping import Float
from torch import Tensor, nn

from affekt.errors import ModelError, closest

__all__ = ["DTYPES", "VARIANTS", "round_weights", "rounded", "split_variant", "variant_sha256"]

BITS = {"int8": 8, "int4": 4}
DTYPES = ("bfloat16", "float16", "float32")
"""Precisions, which leave the weights as they are."""

VARIANTS = (*BITS, *DTYPES)
"""What may stand after the `@`."""

GROUP = 32
"""Weights that share a scale at 4 bits; at 8 bits a whole row shares one."""


def split_variant(name: str) -> tuple[str, str | None]:
    """`smollm2@int8` as `("smollm2", "int8")`; without a variant, `(name, None)`.

    Raises:
        ModelError: an unknown variant.
    """
    model, at, variant = name.rpartition("@")
    if not at or "/" in variant:
        return name, None
    if variant not in VARIANTS:
        raise ModelError(
            f"unknown variant {variant!r} of {model}{closest(variant, VARIANTS)} "
            f"(known: {', '.join(VARIANTS)})"
        )
    return model, variant


def variant_sha256(weights: str, variant: str | None) -> str:
    """The hash of weights as the variant has them; another precision of the same weights keeps theirs."""
    if variant not in BITS:
        return weights
    return hashlib.sha256(f"{weights} {variant}".encode()).hexdigest()


def round_weights(network: nn.Module, variant: str | None) -> None:
    """Rounds every linear map inside the network to the variant's bits, in place; embeddings and the output
    matrix stay, as they do in most quantised files. A variant of another precision rounds nothing."""
    if variant not in BITS:
        return
    outside = {id(module) for module in (network.get_input_embeddings(), network.get_output_embeddings())}  # type: ignore[operator]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Linear) and id(module) not in outside:
                module.weight.copy_(rounded(module.weight, BITS[variant]))


def rounded(weight: Float[Tensor, "rows columns"], bits: int) -> Float[Tensor, "rows columns"]:
    """Weights rounded to the nearest of `2**bits - 1` evenly spaced values around 0, in their own dtype.

    The largest absolute value of a row, at under 8 bits of `GROUP` neighbours, sets the spacing.
    """
    rows, columns = weight.shape
    size = GROUP if bits < 8 and columns % GROUP == 0 else columns
    parts = weight.float().reshape(rows, columns // size, size)
    most = 2 ** (bits - 1) - 1
    scale = parts.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / most
    whole: Tensor = (parts / scale).round().clamp(-most, most) * scale
    return whole.reshape(rows, columns).to(weight.dtype)
