"""From cell means to directions: differences of means, neutral components removed, noise inverted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from affekt.errors import CorpusError

__all__ = ["Noise", "balanced", "comparable", "noise", "remove", "top_components", "unit"]


def unit(vectors: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
    """Vectors of length one; a zero vector stays zero."""
    length: Tensor = vectors.norm(dim=-1, keepdim=True)
    return vectors / length.clamp_min(1e-12)


def comparable(filled: Bool[Tensor, "concepts cells"]) -> Bool[Tensor, "concepts cells"]:
    """Cells that say something about their concept: filled, and not the only filled one of their topic."""
    return filled & (filled.sum(0) >= 2)


def balanced(
    means: Float[Tensor, "concepts cells d_model"],
) -> tuple[Float[Tensor, "concepts d_model"], Float[Tensor, "residuals d_model"]]:
    """Difference-of-means vectors in which topics cancel, and what is left of each cell.

    Cells are taken as concept + topic + noise and both are fitted by least squares, so that whatever a topic
    adds to its texts leaves the vectors alone, complete or not. On a complete corpus this is the paper's mean
    over stories minus the mean over emotions (section 2.3).

    Args:
        means: mean of each cell; NaN marks an empty one.

    Returns:
        The vectors, of mean zero; and the noise, a row for each cell of a concept that has more than one.

    Raises:
        CorpusError: a concept shares no topic with any other.
    """
    there = comparable(~means[..., 0].isnan())
    of_topic, of_concept = there.sum(0).clamp_min(1), there.sum(1, keepdim=True)
    if not bool(of_concept.all()):
        raise CorpusError("a concept shares no topic with another; give concepts texts on the same topics")
    # In float64, since a residual's common part is far longer than what concepts differ by.
    values = means.double().where(there[..., None], 0.0)
    values = (values - values.sum(0) / of_topic[:, None]).where(there[..., None], 0.0)
    rows = values.sum(1) / of_concept
    # Where cells are missing, a topic's mean is off by the concepts it lacks. This solves for by how much.
    present = there.double()
    linked = of_topic.diag() - present.T @ (present / of_concept)
    topics = torch.linalg.pinv(linked, rtol=1e-9, hermitian=True) @ -(present.T @ rows)
    concepts = rows - (present @ topics) / of_concept
    scatter = (values - concepts[:, None] - topics)[there & (of_concept >= 2)]
    vectors: Tensor = concepts - concepts.mean(0)
    return vectors.float(), scatter.float()


def top_components(
    covariance: Float[Tensor, "d_model d_model"], share: float
) -> Float[Tensor, "d_model components"]:
    """Leading principal components that together hold `share` of the variance (paper section 2.3, step 4)."""
    variance, basis = torch.linalg.eigh(covariance.double())
    variance, basis = variance.flip(0).clamp_min(0), basis.flip(1)
    before = variance.cumsum(0) - variance
    keep = int((before < share * variance.sum()).sum())
    leading: Tensor = basis[:, :keep]
    return leading.float()


def remove(
    vectors: Float[Tensor, "concepts d_model"], basis: Float[Tensor, "d_model components"]
) -> Float[Tensor, "concepts d_model"]:
    """The vectors without their part in the span of an orthonormal basis (paper section 2.3, step 5)."""
    return vectors - (vectors @ basis) @ basis.T


@dataclass(frozen=True, eq=False)
class Noise:
    """Eigenvectors, in float64, of the within-concept covariance of one layer, to be shrunk and inverted."""

    variance: Float[Tensor, "rank"]
    """Eigenvalues; those that are not listed are zero."""
    basis: Float[Tensor, "d_model rank"]
    """Eigenvectors in columns."""

    def power(
        self, vectors: Float[Tensor, "concepts d_model"], exponent: float, shrinkage: float
    ) -> Float[Tensor, "concepts d_model"]:
        """Vectors times a power of the shrunk covariance: -1 for discriminant weights, -1/2 to whiten.

        The covariance is drawn towards a multiple of the identity of the same trace by `shrinkage`, which is
        more than 0 and at most 1. Without any noise to go by the vectors are given back.
        """
        level = shrinkage * float(self.variance.sum()) / len(self.basis)
        if not level:
            return vectors
        wide = vectors.double()
        inside = wide @ self.basis
        outside = wide - inside @ self.basis.T
        shrunk = (1 - shrinkage) * self.variance + level
        powered: Tensor = outside * level**exponent + (inside * shrunk**exponent) @ self.basis.T
        return powered.float()


def noise(scatter: Float[Tensor, "residuals d_model"]) -> Noise:
    """The within-concept covariance of cell residuals, decomposed on its smaller side."""
    rows = scatter.double() / max(len(scatter), 1) ** 0.5
    if len(scatter) >= scatter.shape[1]:
        variance, basis = torch.linalg.eigh(rows.T @ rows)
        return Noise(variance.clamp_min(0), basis)
    variance, left = torch.linalg.eigh(rows @ rows.T)
    kept = variance > variance[-1:] * 1e-10
    variance, left = variance[kept], left[:, kept]
    return Noise(variance, rows.T @ left / variance.sqrt())
