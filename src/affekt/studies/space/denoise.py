"""The neutral components that extraction removed from the vectors, to remove them from others as well."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.studies.lab import Lab
from affekt.vectors.directions import remove, unit

__all__ = ["denoised"]


def denoised(lab: Lab, vectors: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows d_model"]:
    """Unit vectors without the neutral components of the read layer (paper 2.3, step 5): what spans the
    difference between the raw and the denoised set."""
    at = lab.vectors.place(lab.vectors.read_layer)
    gone = (lab.vectors.raw[at] - lab.vectors.projected[at]).double()
    _, size, basis = torch.linalg.svd(gone, full_matrices=False)
    kept = size > 1e-4 * float(lab.vectors.raw[at].norm())
    return unit(remove(vectors, basis[kept].T.float()))
