"""A comparison in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from affekt.audit.comparison import ALL, Comparison, Shift
from affekt.audit.measure import VIEWS

__all__ = ["LIMITS", "headline", "meaning", "ranked", "tell"]

LIMITS = (
    "These are readings of linear directions in the residual stream: functional states, and no claim that a "
    "model "
    "feels anything. A direction may mean something else in the tuned model than in the base; the cosine "
    "between "
    "both models' own vectors, where it was measured, says how far. A shift is called when it is above "
    "everything "
    "that moved the base without any training, and beyond chance over the prompts; a shift that is not "
    "called may "
    "still be there."
)
"""What a comparison does not say."""


def ranked(comparison: Comparison, view: str, group: str = ALL) -> list[Shift]:
    """The called emotions of a view, those of most noise floors first."""
    called = [one for one in comparison.shifts(view, group) if one.called]
    return sorted(called, key=lambda one: -abs(one.shift))


def headline(comparison: Comparison) -> str:
    """One sentence for each view: what rose, what fell, or that nothing did."""
    return " ".join(_sentence(comparison, view) for view in comparison.views)


def meaning(comparison: Comparison) -> list[str]:
    """What the figures mean, a sentence each."""
    said = []
    for view in comparison.views:
        pair = [group for group in comparison.groups if group in ("neutral", "challenging")]
        if len(pair) == 2:
            r = comparison.agreement(view, *pair)
            said.append(
                f"At {VIEWS[view]}, the shifts on neutral and on challenging prompts agree with r = {r:.2f} "
                "over "
                f"the emotions (the paper's model: 0.90): "
                + ("one change of baseline." if r > 0.7 else "the change depends on what is asked.")
            )
    moved = comparison.directions
    if moved is not None:
        middle = sorted(moved.cosine.values())[len(moved.cosine) // 2]
        said.append(
            f"The directions themselves: median cosine between both models' own vectors {middle:.2f}, "
            "different "
            f"concepts within {moved.chance:.2f}; the shift along either set agrees with r = "
            + ", ".join(f"{r:.2f} ({view})" for view, r in moved.agreement.items())
            + "."
        )
    longest = max(abs(ratio - 1) for ratio in comparison.norm_ratio)
    if longest > 0.05:
        said.append(
            f"The tuned model's residuals are up to {longest:.0%} longer or shorter than the base's, which "
            "moves "
            "every z alike; compare concepts with each other rather than with 0."
        )
    return said


def tell(shifts: Sequence[Shift], most: int = 5) -> str:
    """`worried +1.2, anxious +0.9 and 3 more`."""
    shown = ", ".join(f"{one.name} {one.shift:+.2f}" for one in shifts[:most])
    return shown + (f" and {len(shifts) - most} more" if len(shifts) > most else "")


def _sentence(comparison: Comparison, view: str) -> str:
    called = ranked(comparison, view)
    n = int(comparison.n[comparison.views.index(view), comparison.groups.index(ALL)])
    where = f"{VIEWS[view][0].upper()}{VIEWS[view][1:]} (n = {n})"
    beyond = "beyond the noise floor" if comparison.arms[view] else "beyond chance (no floor was measured)"
    if not called:
        return f"{where}: no emotion moved {beyond}."
    up = [one for one in called if one.shift > 0]
    down = [one for one in called if one.shift < 0]
    parts = [f"{word}: {tell(part)}" for word, part in (("up", up), ("down", down)) if part]
    return f"{where}: {len(called)} emotions {beyond}; {'; '.join(parts)}."
