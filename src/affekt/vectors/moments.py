"""Running, mergeable moments of residuals: what extraction keeps of a corpus of any size.

All of them are changed in place by `add`, and shards merged give what the whole gives, to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["CellMeans", "Gram", "ScoreMoments"]


class _Sums:
    """A dataclass of tensors that grow in place."""

    def state(self) -> dict[str, Tensor]:
        """The tensors by name, to be saved and put back; not copies."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class CellMeans(_Sums):
    """Sums of pooled residuals by concept and cell (topic), so that topics can be balanced and left out.

    Memory is `concepts x cells x layers x d_model` floats whatever the corpus holds.
    """

    sums: Float[Tensor, "concepts cells layers d_model"]
    """Sum over texts of the residual averaged over a text's tokens."""
    counts: Int[Tensor, "concepts cells"]
    """Number of texts in each cell."""

    @classmethod
    def empty(cls, concepts: int, cells: int, layers: int, d_model: int) -> CellMeans:
        """No text seen yet."""
        return cls(
            torch.zeros(concepts, cells, layers, d_model), torch.zeros(concepts, cells, dtype=torch.long)
        )

    def add(self, concept: int, cell: int, pooled: Float[Tensor, "layers d_model"]) -> None:
        """Count one text in."""
        self.sums[concept, cell] += pooled
        self.counts[concept, cell] += 1

    def merge(self, other: CellMeans) -> CellMeans:
        """The moments of both shards together."""
        return CellMeans(self.sums + other.sums, self.counts + other.counts)

    def means(self, layer: int) -> Float[Tensor, "concepts cells d_model"]:
        """Mean of each cell at the `layer`-th of the kept layers; an empty cell is NaN."""
        return self.sums[:, :, layer] / self.counts[:, :, None]


@dataclass(frozen=True, eq=False)
class Gram(_Sums):
    """First and second moments of single tokens' residuals, and the mean of their norms.

    The scatter is kept about the running mean: some dimensions of a residual lie a thousand deviations from
    zero, and the difference of two raw moments would be noise there.
    """

    count: Int[Tensor, ""]
    """Number of tokens."""
    mean: Float[Tensor, "layers d_model"]
    """Mean residual, float64."""
    scatter: Float[Tensor, "layers d_model d_model"]
    """Sum of outer products of what is left when the mean is taken off."""
    norm: Float[Tensor, "layers"]
    """Sum of Euclidean norms, float64."""

    @classmethod
    def empty(cls, layers: int, d_model: int) -> Gram:
        """No token seen yet."""
        return cls(
            torch.zeros((), dtype=torch.long),
            torch.zeros(layers, d_model, dtype=torch.float64),
            torch.zeros(layers, d_model, d_model),
            torch.zeros(layers, dtype=torch.float64),
        )

    def add(self, rows: Float[Tensor, "layers tokens d_model"]) -> None:
        """Count tokens in (update of Chan, Golub & LeVeque 1979)."""
        new = rows.shape[1]
        if not new:
            return
        share = new / (int(self.count) + new)
        mean = rows.mean(1, dtype=torch.float64)
        apart = mean - self.mean
        # What the two means lie apart enters as one more row, so that a large matrix is gone through once.
        between = apart * (int(self.count) * share) ** 0.5
        centred = torch.cat([rows - mean[:, None].to(rows.dtype), between[:, None].to(rows.dtype)], dim=1)
        self.scatter.baddbmm_(centred.transpose(1, 2), centred)
        self.mean.add_(apart, alpha=share)
        self.norm.add_(rows.norm(dim=-1).sum(1, dtype=torch.float64))
        self.count.add_(new)

    def merge(self, other: Gram) -> Gram:
        """The moments of both shards together."""
        count, mean, between = _together(self.count, self.mean, other.count, other.mean)
        apart = (other.mean - self.mean).to(self.scatter.dtype)
        scatter = torch.baddbmm(
            self.scatter + other.scatter, apart[:, :, None], apart[:, None], alpha=between
        )
        return Gram(count, mean, scatter, self.norm + other.norm)

    def covariance(self, layer: int) -> Float[Tensor, "d_model d_model"]:
        """Covariance at the `layer`-th of the kept layers."""
        return self.scatter[layer] / self.count

    def mean_norm(self) -> Float[Tensor, "layers"]:
        """Mean Euclidean norm of a residual: the unit of a steering dose (paper section 2.4)."""
        return (self.norm / self.count).float()


@dataclass(frozen=True, eq=False)
class ScoreMoments(_Sums):
    """Mean and deviation over tokens of `residual . weight`, for weights that are known beforehand."""

    count: Int[Tensor, ""]
    """Number of tokens."""
    mean: Float[Tensor, "layers concepts"]
    """Mean score, float64."""
    scatter: Float[Tensor, "layers concepts"]
    """Sum of squared differences from the mean, float64."""

    @classmethod
    def empty(cls, layers: int, concepts: int) -> ScoreMoments:
        """No token seen yet."""
        return cls(
            torch.zeros((), dtype=torch.long),
            torch.zeros(layers, concepts, dtype=torch.float64),
            torch.zeros(layers, concepts, dtype=torch.float64),
        )

    def add(self, scores: Float[Tensor, "layers tokens concepts"]) -> None:
        """Count tokens in by their scores."""
        if not scores.shape[1]:
            return
        scores = scores.double()
        mean = scores.mean(1)
        new = torch.tensor(scores.shape[1])
        spread = (scores - mean[:, None]).square().sum(1)
        count, joint, between = _together(self.count, self.mean, new, mean)
        self.scatter.add_(spread + (mean - self.mean).square() * between)
        self.mean.copy_(joint)
        self.count.copy_(count)

    def merge(self, other: ScoreMoments) -> ScoreMoments:
        """The moments of both shards together."""
        count, mean, between = _together(self.count, self.mean, other.count, other.mean)
        spread = (other.mean - self.mean).square() * between
        return ScoreMoments(count, mean, self.scatter + other.scatter + spread)

    def std(self) -> Float[Tensor, "layers concepts"]:
        """Deviation of the scores over all tokens."""
        return (self.scatter / self.count).sqrt()


def _together(n: Tensor, mean: Tensor, m: Tensor, other: Tensor) -> tuple[Tensor, Tensor, float]:
    """Count and mean of two sets of rows, and the weight of the squared distance of their means."""
    count = n + m
    share = float(m) / max(float(count), 1.0)
    return count, torch.lerp(mean, other, share), float(n) * share
