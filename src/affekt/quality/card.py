"""The quality card: what a set of vectors is asked, answered in figures with n and interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from affekt.concepts import Corpus
from affekt.errors import CalibrationError, VectorsError, closest
from affekt.models.model import Model
from affekt.progress import Progress
from affekt.quality import accuracy, affect, dialled, implicit, lens, naming, reliability, severity
from affekt.quality.cells import Cells, Training, gather, trainings
from affekt.quality.dial import calibrate_dial
from affekt.quality.naming import EngineFor
from affekt.quality.section import Section, unmeasured
from affekt.quality.unembedding import unembedding
from affekt.vectors.checkpoint import Checkpoint
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["FORMAT", "KEYS", "QUICK", "check", "wanted"]

FORMAT = 1
"""Version of the card's layout."""

NO_CORPUS = "the texts that the vectors were made of are not at hand; give them with --corpus"


@dataclass(eq=False)
class _Bench:
    """What sections are measured with."""

    engine_for: EngineFor
    vectors: ConceptVectors
    model: Model | None
    trainings: list[Training]
    progress: Progress | None
    checkpoint: Checkpoint | None
    _cells: list[Cells] | None = field(default=None)

    def cells(self) -> list[Cells]:
        """Every corpus pooled, once for all sections that ask."""
        if self._cells is None:
            engine = self.engine_for(self.vectors)
            self._cells = [
                gather(engine, self.vectors, each, self.progress, self.checkpoint) for each in self.trainings
            ]
        return self._cells


def _forms(bench: _Bench) -> list[Section]:
    return [accuracy.forms(each) for each in bench.cells()] or [unmeasured(accuracy.TITLE, NO_CORPUS)]


def _implicit(bench: _Bench) -> list[Section]:
    return [implicit.implied(bench.engine_for(bench.vectors), bench.vectors, bench.trainings)]


def _reliability(bench: _Bench) -> list[Section]:
    return [reliability.reliability(each, bench.vectors) for each in bench.cells()] or [
        unmeasured(reliability.TITLE, NO_CORPUS)
    ]


def _affect(bench: _Bench) -> list[Section]:
    return [affect.affect(bench.vectors)]


def _severity(bench: _Bench) -> list[Section]:
    return [severity.numbers(bench.engine_for(bench.vectors), bench.vectors)]


def _naming(bench: _Bench) -> list[Section]:
    return [naming.naming(bench.engine_for, bench.vectors)]


def _lens(bench: _Bench) -> list[Section]:
    return [lens.lens(bench.vectors, unembedding(bench.model) if bench.model is not None else None)]


def _dial(bench: _Bench) -> list[Section]:
    if not bench.vectors.doses.isfinite().any():
        engine = bench.engine_for(bench.vectors)
        try:
            bench.vectors = calibrate_dial(engine, bench.vectors, progress=bench.progress)
        except CalibrationError as error:
            return [unmeasured(dialled.TITLE, str(error))]
    return [dialled.dialled(bench.engine_for, bench.vectors)]


_Measure: TypeAlias = Callable[[_Bench], list[Section]]

_MEASURES: Mapping[str, _Measure] = {
    "implicit": _implicit,
    "affect": _affect,
    "severity": _severity,
    "lens": _lens,
    "naming": _naming,
    "dial": _dial,
    "forms": _forms,
    "reliability": _reliability,
}

KEYS = tuple(_MEASURES)
"""The sections, cheap ones first."""

QUICK = ("implicit", "affect", "severity", "lens", "naming")
"""Those that need neither another pass over the corpus nor replies."""


def check(
    engine_for: EngineFor,
    vectors: ConceptVectors,
    *,
    model: Model | None = None,
    corpora: Sequence[Corpus] = (),
    only: Sequence[str] = (),
    quick: bool = False,
    progress: Progress | None = None,
    resume: str | Path | None = None,
) -> Iterator[ConceptVectors]:
    """Measure the sections of the card, giving the vectors with the card so far after each of them.

    A card that was left unfinished is gone on with; sections that are not asked for stay as they are. Vectors
    whose dial is not calibrated are calibrated on the way.

    Args:
        engine_for: makes an engine for a set of vectors of the model.
        vectors: what is checked.
        model: the opened model, for the logit lens; without it that section says that it is not measured.
        corpora: the corpora that the vectors were made of, where they are not the shipped ones.
        only: keys of sections, of `KEYS`; all by default.
        quick: only the `QUICK` ones.
        progress: called during the longer sections.
        resume: folder for the sums of a pass over the corpus; what is found there, of a pass that was
            stopped or of the extraction itself, is not run again.

    Raises:
        VectorsError: for an unknown section.
        CorpusError: for a corpus that the vectors were not made of.
    """
    asked = wanted(only, quick)
    left = [key for key in vectors.card.get("left", ()) if key in asked]
    todo = left if left and not only else list(asked)
    checkpoint = Checkpoint(Path(resume)) if resume is not None else None
    bench = _Bench(engine_for, vectors, model, trainings(vectors, corpora), progress, checkpoint)
    for done, key in enumerate(todo, start=1):
        if progress is not None:
            progress("sections", done - 1, len(todo))
        sections = [section.to_dict() for section in _MEASURES[key](bench)]
        old: Mapping[str, Any] = bench.vectors.card.get("sections", {})
        card = {
            **bench.vectors.card,
            "format": FORMAT,
            "sections": {
                name: sections if name == key else old[name] for name in KEYS if name == key or name in old
            },
            "left": todo[done:],
        }
        bench.vectors = replace(bench.vectors, card=card)
        yield bench.vectors


def wanted(only: Sequence[str], quick: bool = False) -> tuple[str, ...]:
    """The sections asked for, in the order they are measured.

    Raises:
        VectorsError: there is no such section.
    """
    for key in only:
        if key not in KEYS:
            raise VectorsError(
                f"the card has no section {key!r}{closest(key, KEYS) or '; it has ' + ', '.join(KEYS)}"
            )
    return tuple(key for key in KEYS if (key in only if only else not quick or key in QUICK))
