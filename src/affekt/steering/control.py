"""Random directions for the control arm that every causal claim needs: same norm, no meaning."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["random_directions"]


def random_directions(
    n: int,
    d: int,
    seed: int,
    *,
    covariance: Float[Tensor, "d_model d_model"] | None = None,
    sample: Float[Tensor, "points d_model"] | None = None,
) -> Float[Tensor, "directions d_model"]:
    """Random unit directions, the same for the same seed; on the CPU, float32.

    Args:
        n: how many.
        d: width of the residual stream.
        seed: of the draw.
        covariance: draw from a normal distribution of this covariance before the norms are made 1. Residuals
            fill few dimensions: an isotropic direction mostly misses them, and is a weaker control.
        sample: points whose covariance is used; cheaper than the matrix for few points.

    Raises:
        ValueError: for both a covariance and a sample, or one of another width.
    """
    generator = torch.Generator().manual_seed(seed)
    if covariance is not None and sample is not None:
        raise ValueError("give a covariance or a sample, not both")
    if sample is not None:
        spread = (sample - sample.mean(0)).float().cpu()
    elif covariance is not None:
        variance, basis = torch.linalg.eigh(covariance.double().cpu())
        spread = (variance.clamp_min(0).sqrt()[:, None] * basis.T).float()
    else:
        spread = None
    if spread is None:
        drawn: Tensor = torch.randn(n, d, generator=generator)
    elif spread.shape[1] != d:
        raise ValueError(f"directions of width {d} cannot have a covariance of width {spread.shape[1]}")
    else:
        drawn = torch.randn(n, len(spread), generator=generator) @ spread
    return torch.nn.functional.normalize(drawn, dim=1)
