"""A comparison in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from affekt.audit.comparison import ALL, Comparison, Directions, Shift
from affekt.audit.floor import OTHERS
from affekt.audit.measure import VIEWS

__all__ = [
    "LIMITS",
    "beside",
    "headline",
    "made_of",
    "meaning",
    "opponent",
    "ranked",
    "sentences",
    "standing",
    "tell",
    "titles",
]

LIMITS = (
    "These are readings of linear directions in the residual stream: functional states, and no claim that a "
    "model "
    "feels anything. A direction may mean something else in the tuned model than in the base; the cosine "
    "between "
    "both models' own vectors, where it was measured, says how far. A shift is called when it is above the "
    "noise floor, which is what changes that ought not to matter have moved, and beyond chance over the "
    "prompts; a shift that is not called may still be there."
)
"""What a comparison does not say."""


ALIKE = 0.7
"""An r over the emotions above which two sets of shifts are said to be one."""


def titles(names: Sequence[str]) -> list[str]:
    """Models in folders by the folder's name, where that tells them apart."""
    short = [Path(name).name if Path(name).is_absolute() or name.startswith(".") else name for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)


def opponent(comparison: Comparison, base: str = "") -> str:
    """What the tuned model was held against, in a few words; `base` is a shorter name for the base."""
    if comparison.against == "base":
        return base or comparison.base
    return f"the mean of {len(comparison.reference)} controls of {base or comparison.base}"


def standing(comparison: Comparison) -> str:
    """The same in a sentence."""
    if comparison.against == "base":
        return f"Held against the base, {titles([comparison.base])[0]}."
    names = ", ".join(titles(comparison.reference))
    return (
        f"Held against the mean of {len(comparison.reference)} controls ({names}), not against the base: "
        "what all of them share is no shift."
    )


def made_of(comparison: Comparison, view: str) -> str:
    """What the floor of a view is made of; empty where none was measured."""
    arms = [arm for arm in comparison.arms[view] if not arm.endswith(OTHERS)]
    if len(arms) < len(comparison.arms[view]):
        arms.append("each control against the mean of the others")
    return ", ".join(arms)


def beside(comparison: Comparison) -> str:
    """The one model whose replies and readings are shown beside the tuned model's."""
    return "base" if comparison.against == "base" else titles(comparison.reference)[0]


def ranked(
    comparison: Comparison, view: str, group: str = ALL, kinds: Sequence[str] = ("emotion",)
) -> list[Shift]:
    """The called shifts of a view, the largest first; of the emotions unless other kinds are named."""
    called = [one for kind in kinds for one in comparison.shifts(view, group, kind) if one.called]
    return sorted(called, key=lambda one: -abs(one.shift))


def headline(comparison: Comparison) -> str:
    """For each view what rose, what fell, or that nothing did: emotions, then whole clusters and axes."""
    return " ".join(sentences(comparison))


def sentences(comparison: Comparison) -> list[str]:
    """The headline, view by view."""
    return [_sentence(comparison, view) for view in comparison.views]


def meaning(comparison: Comparison) -> list[str]:
    """What the figures mean, a sentence each."""
    said = []
    for view in comparison.views:
        pair = [group for group in comparison.groups if group in ("neutral", "challenging")]
        if len(pair) == 2:
            if not all(comparison.measured(view, group) for group in pair):
                continue
            r = comparison.agreement(view, *pair)
            said.append(
                f"At {VIEWS[view]}, the shifts on neutral and on challenging prompts agree with r = {r:.2f} "
                "over "
                f"the emotions (the paper's model: 0.90): "
                + _alike(r, all(ranked(comparison, view, group) for group in pair))
            )
    moved = comparison.directions
    if moved is not None:
        said.append(_turned(moved))
    ending = "s" if comparison.against == "base" else ""
    longest = max((abs(ratio - 1) for ratio in comparison.norm_ratio if isfinite(ratio)), default=0.0)
    if longest > 0.05:
        said.append(
            f"The tuned model's residuals are up to {longest:.0%} longer or shorter than the "
            f"{comparison.against}'{ending}, which moves every z alike; compare concepts with each other "
            "rather than with 0."
        )
    return said


def _alike(r: float, called: bool) -> str:
    """What agreement says; noise that two groups share agrees as well, so only where both have moved."""
    if not called:
        return "but no emotion is called on both, so this says nothing of a change."
    return "one change of baseline." if r > ALIKE else "the change depends on what is asked."


def _turned(moved: Directions) -> str:
    """Whether directions or activations moved."""
    ordered = sorted(moved.cosine.items(), key=lambda one: one[1])
    middle = ordered[len(ordered) // 2][1]
    along = ", ".join(f"{r:.2f} ({view})" for view, r in moved.agreement.items())
    same = all(r > ALIKE for r in moved.agreement.values())
    verdict = (
        "the tuned model's own vectors say the same: activations moved, not directions."
        if same
        else "the tuned model's own vectors say something else: directions have moved as well. Read both "
        "models by those too (affekt extract, then --vectors)."
    )
    return (
        f"The directions themselves, from the same {moved.texts} texts in both models: median cosine of a "
        f"concept's two vectors {middle:.2f} (1 is the same direction; two different concepts' have up to "
        f"{moved.chance:.2f}), least "
        + ", ".join(f"{name} {cosine:.2f}" for name, cosine in ordered[:3])
        + f". The shift along either set agrees with r = {along}: {verdict}"
    )


def tell(shifts: Sequence[Shift], most: int = 5) -> str:
    """`worried +1.2, anxious +0.9 and 3 more`."""
    shown = ", ".join(f"{one.name} {one.shift:+.2f}" for one in shifts[:most])
    return shown + (f" and {len(shifts) - most} more" if len(shifts) > most else "")


def _sentence(comparison: Comparison, view: str) -> str:
    called = ranked(comparison, view)
    wide = ranked(comparison, view, kinds=("cluster", "axis"))
    n = int(comparison.n[comparison.views.index(view), comparison.groups.index(ALL)])
    where = f"{VIEWS[view][0].upper()}{VIEWS[view][1:]} (n = {n})"
    if not comparison.measured(view):
        return f"{where}: nothing was measured; {comparison.missing(view)}."
    beyond = "beyond the noise floor" if comparison.arms[view] else "beyond chance (no floor was measured)"
    if not called and not wide:
        return f"{where}: no emotion moved {beyond}."
    if not called:
        return f"{where}: no single emotion moved {beyond}, but as a whole did, {_ways(wide)}."
    emotions = "1 emotion" if len(called) == 1 else f"{len(called)} emotions"
    whole = f" As a whole, {_ways(wide)}." if wide else ""
    return f"{where}: {emotions} {beyond}; {_ways(called)}.{whole}"


def _ways(called: Sequence[Shift]) -> str:
    """`up: joyful +0.81; down: bored -1.40`."""
    up = [one for one in called if one.shift > 0]
    down = [one for one in called if one.shift < 0]
    return "; ".join(f"{word}: {tell(part)}" for word, part in (("up", up), ("down", down)) if part)
