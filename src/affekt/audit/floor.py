"""The noise floor: how far readings move where nothing of interest has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from affekt.audit.keep import Seen
from affekt.audit.measure import reread
from affekt.audit.setup import Setup
from affekt.audit.subject import Open, Subject
from affekt.errors import ModelError

__all__ = ["OTHERS", "Arm", "arm", "noise_arms"]

OTHERS = "against the others"
"""How the name of a control's arm ends where controls are the reference."""

PRECISIONS = ("float32", "bfloat16", "int8")
"""Variants of the base that ought to be the same model; the one it runs in is left out."""


@dataclass(frozen=True, eq=False)
class Arm:
    """One harmless change, and what it moved."""

    name: str
    """Such as `another seed`."""
    differences: Mapping[str, Float[np.ndarray, "prompts quantities"]]
    """For each view it was measured at."""
    rows: Mapping[str, Sequence[int]]
    """For each view, which prompts the rows belong to."""


def noise_arms(
    base: str,
    subject: Subject,
    open: Open,
    setup: Setup,
    seen: Mapping[str, Seen],
    precisions: Sequence[str] = PRECISIONS,
    words: bool = True,
) -> list[Arm]:
    """The base against itself: another sampling seed, messages in other words, and other precisions.

    Two runs that differ in nothing else move readings by as much as many a tuning does (int4 more than most),
    so a shift counts only above this.

    Args:
        base: its name.
        subject: the base, opened.
        open: opens a variant of it by name.
        setup: what is asked.
        seen: the base at each view.
        precisions: variants of the base; the dtype that it runs in is left out, as are all where the base is
            a variant itself.
        words: whether messages in other words are an arm. What new words do to the base's own mean they do
            to any sibling's, so where controls are the reference it cancels; what they do to a shift differs
            from message to message, and the test over prompts has it.
    """
    arms = [_paraphrased(subject, setup, seen)] if words else []
    if "reply" in seen and setup.writing.temperature > 0:
        again = setup.see(subject, "reply", writing=replace(setup.writing, seed=setup.writing.seed + 1))
        arms.insert(0, arm("another seed", {"reply": again}, seen, setup))
    if "@" not in base:
        written: Mapping[str, Seen] = seen
        if "reply" in seen:
            asked = setup.asked(setup.reply_form)
            given = reread(subject, asked, seen["reply"].replies, setup.keep, setup.progress)
            written = {**seen, "reply": given}
        for precision in precisions:
            if precision != subject.identity.dtype:
                arms.append(
                    arm(precision, _variant(f"{base}@{precision}", open, setup, seen), written, setup)
                )
    return [one for one in arms if one.differences]


def _variant(name: str, open: Open, setup: Setup, seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """The same prompts' ends, and the base's own replies, read by a variant."""
    try:
        subject = open(name)
    except ModelError as error:
        raise ModelError(f"the floor needs {name}: {error}") from error
    found = {}
    for view in seen:
        if view == "reply":
            asked = setup.asked(setup.reply_form)
            found[view] = reread(subject, asked, seen[view].replies, setup.keep, setup.progress)
        else:
            found[view] = setup.see(subject, view)
    return found


def _paraphrased(subject: Subject, setup: Setup, seen: Mapping[str, Seen]) -> Arm:
    rows = [i for i, prompt in enumerate(setup.prompts) if prompt.paraphrase is not None]
    if len(rows) < 2:
        return Arm("other words", {}, {})
    differences = {}
    for view, after in setup.look(subject, paraphrased=True).items():
        differences[view] = setup.z(after, view) - setup.z(seen[view], view)[rows]
    return Arm("other words", differences, dict.fromkeys(differences, rows))


def arm(name: str, after: Mapping[str, Seen], before: Mapping[str, Seen], setup: Setup) -> Arm:
    """What moved between two that were asked the same, at the views of `after`."""
    differences = {view: setup.difference(before[view], seen, view) for view, seen in after.items()}
    return Arm(name, differences, dict.fromkeys(differences, range(len(setup.prompts))))
