"""What a tuned model is held against: its base, or the mean of controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import torch

from affekt.audit.floor import OTHERS, Arm, arm
from affekt.audit.keep import Seen
from affekt.audit.quantities import quantities
from affekt.audit.setup import Setup
from affekt.errors import PromptError, closest

__all__ = ["AGAINST", "Against", "Reference", "left_out", "named", "shared"]

Against: TypeAlias = Literal["base", "controls"]

AGAINST: tuple[Against, ...] = ("base", "controls")
"""What a reference may be."""

ENOUGH = 3
"""Controls from which on nothing is said about their number."""

FARTHEST = 3
"""Emotions named of what the controls share."""


@dataclass(frozen=True, eq=False)
class Reference:
    """One model, or the mean of several, prompt by prompt."""

    names: tuple[str, ...]
    """The base alone, or the controls."""
    each: tuple[Mapping[str, Seen], ...]
    """What was seen of each of them, by view."""

    @cached_property
    def mean(self) -> Mapping[str, Seen]:
        """The mean residuals at every view, and the first one's replies.

        z is linear in the residual, so the z of the mean is the mean z. A prompt to which one of them gave
        an empty reply has no mean: NaN.
        """
        return {
            view: Seen(torch.stack([seen[view].residuals for seen in self.each]).mean(dim=0), first.replies)
            for view, first in self.each[0].items()
        }


def named(against: str, tuned: Sequence[str], controls: Sequence[str]) -> Against:
    """The kind of reference that is meant, once it is sure that the names allow it.

    Raises:
        PromptError: an unknown kind, fewer than two controls, one that is named twice or tested as well.
    """
    if against == "base":
        return "base"
    if against != "controls":
        raise PromptError(
            f"unknown reference {against!r}{closest(against, AGAINST)} (known: {', '.join(AGAINST)})"
        )
    if len(controls) < 2:
        raise PromptError(
            f"the mean of controls needs at least two of them, better three; got {len(controls)}: "
            "name harmless trainings of the same base with --control"
        )
    for name in controls:
        if controls.count(name) > 1:
            raise PromptError(f"the control {name} is named twice; name runs of different seeds")
        if name in tuned:
            raise PromptError(
                f"{name} is tested and a control as well; a part of the reference cannot be held against it"
            )
    return "controls"


def left_out(controls: Reference, setup: Setup) -> list[Arm]:
    """Each control against the mean of the others: how far one more harmless training lies from the mean.

    Where trainings differ by variance s² a quantity, a control less the mean of the k - 1 others has
    s² (1 + 1/(k-1)), and a further model less the mean of all k has s² (1 + 1/k) where it is one of them.
    The first is larger, by 6 % in standard deviation for three controls and by 15 % for two. No arm is
    scaled down to it: so the largest of a few arms errs to the side of calling too little.
    """
    arms = []
    for i, (name, own) in enumerate(zip(controls.names, controls.each, strict=True)):
        others = Reference(
            controls.names[:i] + controls.names[i + 1 :], controls.each[:i] + controls.each[i + 1 :]
        )
        arms.append(arm(f"control {name} {OTHERS}", own, others.mean, setup))
    return arms


def shared(controls: Reference, base: Mapping[str, Seen], setup: Setup) -> tuple[str, ...]:
    """What the reader must know of controls as the reference: what is not counted, and that they are few."""
    columns = quantities(setup.vectors.concepts)
    emotions = [i for i, column in enumerate(columns) if column.kind == "emotion"]
    told = []
    for view, before in base.items():
        change = setup.difference(before, controls.mean[view], view)[:, emotions]
        change = change[np.isfinite(change).all(axis=1)]
        if not len(change):
            told.append(f"{view} not known, for want of replies")
            continue
        mean = change.mean(axis=0)
        most = np.argsort(-np.abs(mean), kind="stable")[:FARTHEST]
        far = ", ".join(f"{columns[emotions[i]].name} {mean[i]:+.2f}" for i in most)
        told.append(f"{view} {np.sqrt((mean**2).mean()):.2f} ({far})")
    notes = [
        "What the controls have in common is not counted. Their mean differs from the base, root mean square "
        f"of z over the emotions and the farthest of them: {'; '.join(told)}."
    ]
    if len(controls.names) < ENOUGH:
        notes.append(
            "With two controls the floor rests on one difference between trainings; three or more are better."
        )
    return tuple(notes)
