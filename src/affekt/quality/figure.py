"""A figure: a number that never goes out without its interval and its n."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Figure", "shown"]


@dataclass(frozen=True)
class Figure:
    """A measured number with its 95 % interval."""

    value: float
    """The number."""
    low: float
    """Lower end of the interval; NaN where there is none."""
    high: float
    """Upper end."""
    n: int
    """How many `of` it rests on."""
    of: str
    """What was counted, such as `texts`; the interval is over these."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; what is not finite becomes None."""
        return {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()
        }

    def __str__(self) -> str:
        return f"{shown(self.to_dict())} (n = {self.n} {self.of})"


def shown(figure: Mapping[str, Any]) -> str:
    """A figure's dictionary as `0.42 [0.30, 0.55]`."""
    value, low, high = (figure[k] for k in ("value", "low", "high"))
    if value is None:
        return "not defined"
    return (
        _short(value) if low is None or high is None else f"{_short(value)} [{_short(low)}, {_short(high)}]"
    )


def _short(value: float) -> str:
    """Three significant digits at most, at most two after the point from 1 on and three below."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.095 or size < 1e-9 else f"{value:.3f}"
