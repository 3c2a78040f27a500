"""The cells of a corpus: texts pooled together, so that topics and forms balance and can be left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from affekt.concepts import Corpus

__all__ = ["MAX_CELLS", "Layout", "layout"]

MAX_CELLS = 32
"""Most cells for a concept. Up to this many topics have one each; beyond, topics of a form share cells."""


@dataclass(frozen=True)
class Layout:
    """Where each topic of a corpus goes."""

    forms: tuple[str, ...]
    """The form of each cell."""
    of: Mapping[tuple[str, str], int]
    """(form, topic) -> cell."""

    def folds(self, most: int = 5) -> list[list[int]]:
        """Sets of cells to leave out in turn: forms where there are at least three, else shares of cells."""
        by_form: dict[str, list[int]] = defaultdict(list)
        for cell, form in enumerate(self.forms):
            by_form[form].append(cell)
        if len(by_form) >= 3:
            return list(by_form.values())
        n = len(self.forms)
        return [fold for fold in (list(range(k, n, most)) for k in range(most)) if fold and len(fold) < n]


def layout(corpus: Corpus) -> Layout:
    """One cell a topic; where a corpus has more than `MAX_CELLS`, forms with few topics keep theirs and the
    others deal their topics out over what is left. Shards of a corpus need the layout of the whole."""
    topics: dict[str, set[str]] = defaultdict(set)
    for text in corpus:
        topics[text.form].add(text.topic)
    groups = _groups(sorted(topics), MAX_CELLS)
    own = {name: sorted((form, topic) for form in forms for topic in topics[form]) for name, forms in groups}
    cells: list[str] = []
    of: dict[tuple[str, str], int] = {}
    for at, (name, members) in enumerate(sorted(own.items(), key=lambda item: (len(item[1]), item[0]))):
        used = min(len(members), (MAX_CELLS - len(cells)) // (len(own) - at))
        for place, key in enumerate(members):
            of[key] = len(cells) + place % used
        cells.extend([name] * used)
    return Layout(tuple(cells), of)


def _groups(forms: Sequence[str], most: int) -> list[tuple[str, list[str]]]:
    """Each form by itself, or `most` groups of forms where there are more."""
    return [("+".join(group), group) for k in range(most) if (group := list(forms[k::most]))]
