"""The numbers of readings as a page's script gets them: z in hundredths, two bytes each, as base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.errors import ReadingError
from affekt.reading.axes import arousal, valence
from affekt.reading.pieces import inline, label
from affekt.reading.reading import Reading

__all__ = ["embedded", "packed", "payload", "percentile"]

MOST = 327.67
"""The largest |z| that fits; a first token may have more, and no picture shows so much."""


def payload(reading: Reading) -> dict[str, Any]:
    """One reading in JSON's types; valence and arousal are columns too, where the concepts allow it."""
    axes = {}
    for make in (valence, arousal):
        try:
            trace = make(reading)
        except ReadingError:  # too few of these concepts have human norms
            continue
        axes[f"{trace.name} (axis)"] = trace
    columns = [reading.z, *(trace.values[:, None] for trace in axes.values())]
    return {
        "tokens": [label(reading, i) for i in range(len(reading))],
        "roles": reading.roles,
        "concepts": [*(inline(name) for name in reading.concepts), *axes],
        "z": packed(np.hstack(columns)),
        "axes": {
            name: {"n": trace.n, "low": packed(trace.low[:, None]), "high": packed(trace.high[:, None])}
            for name, trace in axes.items()
        },
    }


def packed(z: Float[np.ndarray, "tokens columns"]) -> str:
    """Hundredths as little-endian int16, token after token, in base64."""
    hundredths = np.round(np.clip(z, -MOST, MOST) * 100).astype("<i2")
    return base64.b64encode(hundredths.tobytes()).decode("ascii")


def percentile(readings: Sequence[Reading], share: float = 99) -> float:
    """The paper's viewer scale (section 2.4): a percentile of |z| over all concepts and content tokens."""
    sizes = [np.abs(reading.content().z).ravel() for reading in readings]
    every = np.concatenate(sizes) if sizes else np.empty(0)
    return float(np.percentile(every, share)) if every.size else 0.0


def embedded(data: object) -> str:
    """JSON that may stand inside a script element: no `<`, `>` or `&` can end it or open another."""
    line = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        line = line.replace(sign, f"\\u{ord(sign):04x}")
    return line
