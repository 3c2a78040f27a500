"""How far vectors of other texts would agree: the ceiling of every figure that rests on them."""

from __future__ import annotations

import numpy as np

from affekt.quality.bootstrap import mean
from affekt.quality.cells import Training, gather, trainings
from affekt.quality.figure import Figure
from affekt.quality.reliability import split_half
from affekt.studies.lab import Lab
from affekt.studies.result import Table

__all__ = ["ceilings"]

SPLITS = 50


def ceilings(lab: Lab) -> tuple[Table | None, Figure | None]:
    """Split-half reliability of every emotion's vector at the read layer, stepped up to all texts.

    Under `quick` from the quality card, where `affekt check` has measured it; under `full` the texts run
    once more. Nothing where neither is at hand.
    """
    own = _of_card(lab) if lab.quick else _measured(lab)
    if own is None:
        return None, None
    table = Table("ceilings", {"emotion": list(own), "split-half reliability": list(own.values())})
    return table, mean(np.array(list(own.values())), "emotions")


def _of_card(lab: Lab) -> dict[str, float] | None:
    for section in lab.vectors.card.get("sections", {}).get("reliability", ()):
        known = section.get("data", {}).get("raw", {})
        own = {name: known[name] for name in lab.names if known.get(name) is not None}
        if own:
            return own
    return None


def _measured(lab: Lab) -> dict[str, float] | None:
    for training in trainings(lab.vectors):
        names = [concept.name for concept in training.corpus.concepts]
        if set(lab.names) <= set(names):

            def measure(training: Training = training) -> list[float]:
                cells = gather(lab.engine(), lab.vectors, training, lab.progress)
                own, _ = split_half(cells.means, SPLITS)
                return [float(value) for value in own]

            found = dict(zip(names, lab.parts.once("ceilings", measure), strict=True))
            return {name: round(found[name], 5) for name in lab.names if np.isfinite(found[name])}
    return None
