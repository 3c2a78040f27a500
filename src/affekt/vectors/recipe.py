"""The choices of an extraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from affekt.errors import VectorsError, closest

__all__ = ["VARIANTS", "Recipe", "Variant", "candidate_layers", "check_variant"]

Variant = Literal["raw", "projected", "whitened"]
"""`raw`: difference of means; `projected`: neutral components removed (paper 2.3); `whitened`: by the inverse
root of the within-concept noise."""

VARIANTS: tuple[Variant, ...] = ("raw", "projected", "whitened")


@dataclass(frozen=True)
class Recipe:
    """The choices of an extraction."""

    first_token: int = 50
    """First token of a plain text that is averaged, special ones not counted (paper section 2.3). Of a chat
    all tokens of the replies are."""
    neutral_share: float = 0.5
    """Share of neutral variance whose components are removed from `projected`."""
    shrinkage: float = 0.5
    """Shrinkage of the within-concept covariance for `whitened` vectors, more than 0 and at most 1."""
    band: tuple[float, float] = (0.45, 0.7)
    """Candidate layers as shares of depth, where no layers are asked for; no block after them is run."""
    steer_band: tuple[float, float] = (0.45, 0.7)
    """Layers that share a dose, as shares of depth."""
    steer_variant: Variant = "whitened"
    """Vectors that steer."""

    def __post_init__(self) -> None:
        if self.first_token < 0:
            raise VectorsError(f"first_token is {self.first_token}; give 0 or more")
        if not 0 <= self.neutral_share < 1:
            raise VectorsError(f"neutral_share is {self.neutral_share}; give 0 (nothing removed) to below 1")
        if not 0 < self.shrinkage <= 1:
            raise VectorsError(f"shrinkage is {self.shrinkage}; give more than 0, at most 1")
        for name in ("band", "steer_band"):
            band = getattr(self, name)
            if len(band) != 2 or not 0 <= band[0] <= band[1] <= 1:
                raise VectorsError(f"{name} is {band}; give two shares of depth, such as (0.45, 0.7)")
        check_variant(self.steer_variant)

    def plain(self) -> Mapping[str, Any]:
        """The choices as JSON has them."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


def candidate_layers(n_layers: int, band: tuple[float, float]) -> tuple[int, ...]:
    """Layers whose share of depth (`(layer + 1) / n_layers`) lies within the band; at least one."""
    low, high = band
    inside = tuple(i for i in range(n_layers) if low <= (i + 1) / n_layers <= high)
    return inside or (max(0, round(n_layers * (low + high) / 2) - 1),)


def check_variant(name: str) -> None:
    """Refuse what is no variant.

    Raises:
        VectorsError: naming those there are.
    """
    if name not in VARIANTS:
        raise VectorsError(
            f"unknown variant {name!r}{closest(name, VARIANTS)} (there are {', '.join(VARIANTS)})"
        )
