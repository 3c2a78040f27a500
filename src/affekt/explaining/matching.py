"""Random directions that take as much from a text as a concept does: the control of every ablation.

To project out a direction costs a model something whatever the direction means, and the more of the residual
it takes the more it costs. So a control is made from one concept at a time and keeps, at each layer, what
counts for that and nothing of the concept:

- the share of the residuals' sum of squares that it takes, as nearly as the text allows;
- within that, what is the same at all tokens (the component of the mean);
- the angles between its vectors at different layers, nearly: the concept's own vectors are turned by one
  random rotation of the whole space. Directions drawn anew at each layer would take out something else at
  each, and one direction for all would take out less and less, as later layers have little of it left.

At each layer it is at right angles to the concept. A state that lasts over a whole text is a part of the
text's mean, so a control that keeps the mean as it is would take the very cause out that it is to be compared
with; what it takes of the mean is therefore taken from the rest of it.

The turned vectors hold another share, so each is tilted: with C the covariance of the residuals over tokens
it becomes `exp(beta C) v`, made as long as it was, with the one `beta` at which the share is the concept's.
Both ends of the scale can be reached, and the tilt is smooth over layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

__all__ = ["Spread", "matched", "shares", "spread"]

STEEPEST = 1e4
"""Largest tilt, in units of one over the greatest variance."""

LEAST = 1e-12
"""Share of the sum of squares under which an axis is none: no tilt moves it."""


@dataclass(frozen=True)
class Spread:
    """How one layer's residuals are spread over the space."""

    total: float
    """Sum of squares, all tokens together."""
    residuals: Float[np.ndarray, "tokens d_model"]
    """The residuals."""
    mean: Float[np.ndarray, " d_model"]
    """Their mean."""
    axes: Float[np.ndarray, "axes d_model"]
    """Principal axes of what is left when the mean is taken away; orthonormal."""
    variance: Float[np.ndarray, " axes"]
    """Variance along each, the greatest being 1."""

    def share(self, direction: Float[np.ndarray, " d_model"]) -> float:
        """Share of the sum of squares that goes when a unit direction is projected out."""
        return float(((self.residuals @ direction) ** 2).sum()) / self.total


def spread(residuals: Float[Tensor, "layers tokens d_model"]) -> tuple[Spread, ...]:
    """The spread at each layer; for a single token there is nothing but the mean.

    Raises:
        ValueError: for no token, or a layer whose residuals are all zero.
    """
    made = []
    for rows in residuals.double().numpy():
        total = float((rows**2).sum())
        if not total > 0:
            raise ValueError(f"no variance to match: residuals of the shape {tuple(residuals.shape)}")
        mean = rows.mean(0)
        variance, axes = _axes(rows - mean)
        kept = variance > LEAST * total
        variance = variance[kept]
        made.append(Spread(total, rows, mean, axes[kept], variance / max(variance.max(initial=0), 1e-300)))
    return tuple(made)


def _axes(
    rest: Float[np.ndarray, "tokens d_model"],
) -> tuple[Float[np.ndarray, " axes"], Float[np.ndarray, "axes d_model"]]:
    """Sums of squares along the principal axes, and these, by way of the smaller of the two products: a text
    is mostly shorter than the space is wide."""
    if len(rest) >= rest.shape[1]:
        variance, axes = np.linalg.eigh(rest.T @ rest)
        return variance.clip(0), axes.T
    variance, mixtures = np.linalg.eigh(rest @ rest.T)
    axes = mixtures.T @ rest
    return variance.clip(0), axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), 1e-300)


def shares(units: Float[Tensor, "layers d_model"], text: tuple[Spread, ...]) -> Float[np.ndarray, " layers"]:
    """At each layer, the share of the residuals' sum of squares along a concept's unit vector."""
    rows = units.double().numpy()
    return np.array([own.share(row) for own, row in zip(text, rows, strict=True)])


def matched(
    units: Float[Tensor, "layers d_model"], text: tuple[Spread, ...], n: int, seed: int
) -> Float[Tensor, "n layers d_model"]:
    """Random unit directions for each layer, matched to a concept's; the same for the same seed.

    Args:
        units: the concept's unit vectors at the layers at which it is ablated.
        text: the spread of the residuals at the tokens at which it is ablated, layer by layer.
        n: how many.
        seed: of the rotations.
    """
    rows = units.double().numpy()
    random = np.random.default_rng(seed)
    mixture, _ = np.linalg.qr(rows.T)
    own = rows @ mixture  # the concept's vectors in an orthonormal basis of their span
    made = np.empty((n, *rows.shape))
    for i in range(n):
        turned, _ = np.linalg.qr(random.standard_normal((rows.shape[1], own.shape[1])))
        for layer, (vector, target) in enumerate(zip(own @ turned.T, rows, strict=True)):
            made[i, layer] = _tilted(vector, target, text[layer])
    return torch.from_numpy(made).float()


def _tilted(
    vector: Float[np.ndarray, " d_model"], target: Float[np.ndarray, " d_model"], text: Spread
) -> Float[np.ndarray, " d_model"]:
    """The unit vector of the target's share, of as much of the mean, at right angles to it."""
    constant = float(target @ text.mean)
    middle = text.mean - constant * target
    size = float(np.linalg.norm(middle))
    middle = middle / size if size > 0 else middle
    along = float(np.clip(constant / size, -1.0, 1.0)) if size > 0 else 0.0
    bound = np.stack([target, middle])
    vector = vector - (bound @ vector) @ bound
    inside = text.axes @ vector
    outside = vector - inside @ text.axes
    length = np.sqrt(1.0 - along**2)
    wanted = text.share(target)

    def tilt(beta: float) -> Float[np.ndarray, " d_model"]:
        # Exponents are taken relative to the largest, which is 0 for directions without variance.
        top = max(beta, 0.0)
        weighed = (inside * np.exp(beta * text.variance - top)) @ text.axes + outside * np.exp(-top)
        weighed = weighed - (bound @ weighed) @ bound
        tilted: np.ndarray = along * middle + length * weighed / np.linalg.norm(weighed)
        return tilted

    def gap(beta: float) -> float:
        return text.share(tilt(beta)) - wanted

    if not len(text.axes):
        return tilt(0.0)
    step = 1.0 if gap(0.0) < 0 else -1.0
    near, far = 0.0, step
    while gap(far) * step < 0 and abs(far) < STEEPEST:
        near, far = far, far * 2
    if gap(near) * gap(far) > 0:
        return tilt(far)
    return tilt(float(brentq(gap, near, far, xtol=1e-9, rtol=1e-9)))
