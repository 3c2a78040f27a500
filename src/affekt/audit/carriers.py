"""Which prompts carry a shift, and what both models answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from affekt.audit.comparison import ALL, Carrier, Comparison, Pair
from affekt.audit.keep import Seen
from affekt.audit.prompts import Prompt

__all__ = ["SHIFTS", "carriers", "pairs"]

SHIFTS = 6
"""Shifts of each view whose carriers are named: those of most noise floors."""

PROMPTS = 3
"""Carriers named for each."""

PAIRS = 6
"""Answers shown side by side."""


def carriers(
    comparison: Comparison,
    differences: Mapping[str, Float[np.ndarray, "prompts quantities"]],
    prompts: Sequence[Prompt],
) -> tuple[Carrier, ...]:
    """For the farthest shifts over all prompts, the prompts that moved most in their direction."""
    names = [quantity.name for quantity in comparison.quantities]
    found = []
    for view, difference in differences.items():
        ranked = [one for one in comparison.shifts(view, ALL) if np.isfinite(one.shift)]
        ranked.sort(key=lambda one: -abs(one.units))
        for shift in ranked[:SHIFTS]:
            own = np.nan_to_num(difference[:, names.index(shift.name)])
            total = float(own.sum())
            for i in np.argsort(-own * np.sign(shift.shift), kind="stable")[:PROMPTS]:
                part = float(own[i]) / total if total else 0.0
                found.append(Carrier(view, shift.name, prompts[i].id, prompts[i].text, float(own[i]), part))
    return tuple(found)


def pairs(
    before: Seen, after: Seen, difference: Float[np.ndarray, "prompts quantities"], prompts: Sequence[Prompt]
) -> tuple[Pair, ...]:
    """Both answers to the prompts whose readings moved farthest, quantities together."""
    distance = np.nan_to_num(np.linalg.norm(difference, axis=1), nan=-1.0)
    return tuple(
        Pair(prompts[i].id, prompts[i].text, before.replies[i], after.replies[i])
        for i in np.argsort(-distance, kind="stable")[:PAIRS]
    )
