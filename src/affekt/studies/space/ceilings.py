"""How far vectors of other texts would agree: the ceiling of every figure that rests on them."""

from __future__ import annotations

import numpy as np

from affekt.concepts.shipped import stories
from affekt.quality.bootstrap import mean
from affekt.quality.cells import gather, trainings
from affekt.quality.figure import Figure
from affekt.quality.reliability import split_half
from affekt.studies.lab import Lab
from affekt.studies.layered.bank import FIRST_TOKEN, Bank
from affekt.studies.result import Table

__all__ = ["ceilings"]

SPLITS = 50


def ceilings(lab: Lab, everywhere: Bank | None) -> tuple[Table | None, Figure | None]:
    """Split-half reliability of every emotion's vector at the read layer, stepped up to all texts.

    Args:
        lab: whose vectors.
        everywhere: the shipped stories as they ran through the model. Where the vectors were made of other
            texts, these run once more; without it, the ceilings are the quality card's, where `affekt check`
            has measured them.

    Returns:
        A row an emotion, and their mean; nothing where no ceiling is at hand.
    """
    own = _of_card(lab) if everywhere is None else _measured(lab, everywhere)
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


def _measured(lab: Lab, everywhere: Bank) -> dict[str, float] | None:
    for training in trainings(lab.vectors):
        names = [concept.name for concept in training.corpus.concepts]
        if set(lab.names) <= set(names):
            if training.corpus.hash == stories().hash and training.first_token == FIRST_TOKEN:
                names, means = list(everywhere.names), everywhere.cells
            else:
                means = gather(lab.engine(), lab.vectors, training, lab.progress).means
            own, _ = split_half(means, SPLITS)
            found = dict(zip(names, own.tolist(), strict=True))
            return {name: round(found[name], 5) for name in lab.names if np.isfinite(found[name])}
    return None
