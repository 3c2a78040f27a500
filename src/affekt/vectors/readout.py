"""The read-out at one layer: from residuals to z-scores, projections and cosines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from affekt.vectors.directions import unit

__all__ = ["POSITIONS", "Position", "ReadOut", "position_of"]

Position = Literal["text", "user", "reply", "prompt_end"]
"""The kind of token a z-score is referred to."""

POSITIONS: tuple[Position, ...] = ("text", "user", "reply", "prompt_end")

_OF_ROLE: dict[str, Position] = {
    "text": "text",
    "assistant": "reply",
    "thinking": "reply",
    "generation": "prompt_end",
}


def position_of(role: str) -> Position:
    """The reference position of a role; what is not reply, plain text or prompt end counts as `user`."""
    return _OF_ROLE.get(role, "user")


@dataclass(frozen=True, eq=False)
class ReadOut:
    """Linear read-out of every concept at one layer.

    `z = (residual . weight - mean) / std`, where mean and std are those of tokens of the same position in
    texts that favour no emotion: one for each concept, so that what is common to all of them is the zero.
    """

    layer: int
    """Layer it belongs to."""
    weight: Float[Tensor, "concepts d_model"]
    """Unit weights, of the discriminant or of `projected`, by which a residual is projected for z."""
    mean: Float[Tensor, "positions concepts"]
    """Mean of the product over reference tokens, for each of `POSITIONS`."""
    std: Float[Tensor, "positions concepts"]
    """Deviation of the product over reference tokens."""
    unit: Float[Tensor, "concepts d_model"]
    """Unit vectors for projection and cosine, neutral components removed (paper sections 2.3 and 2.4)."""

    def z(
        self, residual: Float[Tensor, "*tokens d_model"], position: Position | Int[Tensor, "*tokens"]
    ) -> Float[Tensor, "*tokens concepts"]:
        """z-scores of residuals.

        Args:
            residual: any float dtype.
            position: of all the tokens; or each token's, as an index into `POSITIONS`.
        """
        at = POSITIONS.index(position) if isinstance(position, str) else position
        return (residual.float() @ self.weight.T - self.mean[at]) / self.std[at]

    def projection(self, residual: Float[Tensor, "*tokens d_model"]) -> Float[Tensor, "*tokens concepts"]:
        """Length of the residual along each unit vector, in the residual's own units."""
        return residual.float() @ self.unit.T

    def cosine(self, residual: Float[Tensor, "*tokens d_model"]) -> Float[Tensor, "*tokens concepts"]:
        """Cosine of the residual with each vector."""
        return unit(residual.float()) @ self.unit.T

    def to(self, device: torch.device) -> ReadOut:
        """The same read-out on a device."""
        return replace(self, **{k: getattr(self, k).to(device) for k in ("weight", "mean", "std", "unit")})

    def only(self, rows: list[int]) -> ReadOut:
        """The read-out of some of the concepts."""
        return replace(
            self,
            weight=self.weight[rows],
            mean=self.mean[:, rows],
            std=self.std[:, rows],
            unit=self.unit[rows],
        )
