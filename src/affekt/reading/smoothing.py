"""Smoothing a reading over tokens: always asked for, always said in the reading's `smoothing`.

Both ways look back only, so the value at a token never rests on a token that comes after it. The first token
of a text keeps its value and goes into no other: its residual is huge whatever it says, and drowns all else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from affekt.errors import ReadingError
from affekt.reading.reading import Reading

__all__ = ["exponential", "window"]


def exponential(reading: Reading, half_life: float | int) -> Reading:
    """Each value becomes a weighted mean of itself and all before it.

    Args:
        reading: the reading to smooth; it is not changed.
        half_life: the distance in tokens at which a weight has halved; more than 0. The weights are
            normalised at every token, so the first ones are not biased to where the text began.

    Raises:
        ReadingError: for a half-life that is not a number above 0.
    """
    if not (half_life > 0 and math.isfinite(half_life)):
        raise ReadingError(f"a half-life of {half_life} tokens; it must be above 0")
    keep = 0.5 ** (1 / half_life)

    def smooth(values: Float[np.ndarray, "tokens concepts"]) -> Float[np.ndarray, "tokens concepts"]:
        smoothed = np.empty(values.shape, np.float64)
        total, weight = np.zeros(values.shape[1]), 0.0
        for i, row in enumerate(values):
            total, weight = keep * total + row, keep * weight + 1
            smoothed[i] = total / weight
        return smoothed.astype(values.dtype)

    return _smoothed(reading, smooth, f"exponential, half-life {half_life:g} tokens")


def window(reading: Reading, n: int) -> Reading:
    """Each value becomes the plain mean of itself and the `n - 1` tokens before it, fewer at the start.

    Raises:
        ReadingError: for a window under 1 token.
    """
    if n < 1:
        raise ReadingError(f"a window of {n} tokens; it must be at least 1")

    def smooth(values: Float[np.ndarray, "tokens concepts"]) -> Float[np.ndarray, "tokens concepts"]:
        totals = np.zeros((len(values) + 1, values.shape[1]))
        np.cumsum(values, axis=0, dtype=np.float64, out=totals[1:])
        end = np.arange(1, len(values) + 1)
        start = np.maximum(end - n, 0)
        return ((totals[end] - totals[start]) / (end - start)[:, None]).astype(values.dtype)

    return _smoothed(reading, smooth, f"mean of the last {n} tokens")


def _smoothed(reading: Reading, smooth: Callable[[np.ndarray], np.ndarray], description: str) -> Reading:
    alone = 1 if reading.opens_text else 0

    def after(values: Float[np.ndarray, "tokens concepts"]) -> Float[np.ndarray, "tokens concepts"]:
        return np.concatenate([values[:alone], smooth(values[alone:])])

    return replace(
        reading,
        z=after(reading.z),
        cosine=after(reading.cosine),
        projection=after(reading.projection),
        smoothing=f"{reading.smoothing}, then {description}" if reading.smoothing else description,
    )
