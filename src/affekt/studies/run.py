"""All studies, in the paper's order, each run once for a model and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from affekt.errors import AffektError, closest
from affekt.studies.causal import causal
from affekt.studies.corpus import corpus
from affekt.studies.crew import Crew, Task
from affekt.studies.deflection import deflection
from affekt.studies.drift import drift
from affekt.studies.geometry import geometry
from affekt.studies.implied import implied
from affekt.studies.intensity import intensity
from affekt.studies.keeping import key_of, load_result, save_result
from affekt.studies.lab import Lab
from affekt.studies.layers import layers
from affekt.studies.parts import Parts
from affekt.studies.positions import positions
from affekt.studies.preferences import preferences
from affekt.studies.result import Result
from affekt.studies.speakers import speakers
from affekt.studies.vocabulary import vocabulary
from affekt.version import __version__

__all__ = ["STUDIES", "chosen", "run"]

STUDIES: Mapping[str, Callable[[Lab], Result]] = {
    "geometry": geometry,
    "lens": vocabulary,
    "corpus": corpus,
    "implicit": implied,
    "positions": positions,
    "intensity": intensity,
    "layers": layers,
    "causal": causal,
    "preferences": preferences,
    "speakers": speakers,
    "deflection": deflection,
    "drift": drift,
}
"""Every study by its key."""

LONGEST = ("preferences", "geometry", "drift", "deflection", "positions", "causal", "layers", "speakers")
"""Those that take longest under `full`, begun first where studies run side by side."""

DIALOGUES = ("speakers", "deflection")
"""Studies that read dialogues of the user's own beside the shipped ones."""

WITH_LEXICON = ("positions", "causal", "speakers")
"""Studies that judge replies by a lexicon too, where it is installed."""

METHOD: dict[str, int] = {
    "geometry": 2,
    "positions": 2,
    "layers": 2,
    "causal": 2,
    "preferences": 2,
    "speakers": 2,
    "deflection": 2,
    "drift": 2,
}
"""The number of a study's method, 1 where none is named; one more makes what was kept of the study be run
again."""


def chosen(only: Sequence[str]) -> list[str]:
    """The studies wanted, in order; all where none is named.

    Raises:
        AffektError: an unknown study.
    """
    for name in only:
        if name not in STUDIES:
            raise AffektError(f"unknown study {name!r}{closest(name, STUDIES)} (known: {', '.join(STUDIES)})")
    return [name for name in STUDIES if not only or name in only]


def run(
    lab: Lab,
    folder: Path,
    only: Sequence[str] = (),
    texts: Sequence[str] = (),
    fresh: bool = False,
    crew: Crew | None = None,
) -> Iterator[tuple[Result, bool]]:
    """Runs studies and keeps them; what was run before from the same inputs is taken from the folder.

    Args:
        lab: model, vectors and scale.
        folder: of this model's results; each study has a folder in it.
        only: which studies.
        texts: a corpus of the user's, for the study of passages.
        fresh: whether to run again what is there.
        crew: processes to share the studies among; by default they run in this one.

    Yields:
        Each result, and whether it was there already: in the paper's order, or with a crew first those that
        were there, then each as it is finished.

    Raises:
        AffektError: an unknown study, or what a study raises.
        StorageError: a damaged folder, or one that cannot be written.
    """
    tasks: dict[str, Task] = {}
    for name in chosen(only):
        key = _key(lab, name, texts)
        if fresh:
            _parts(folder / name, key).clear()
        kept = None if fresh else load_result(folder / name, key)
        task = partial(_make, name=name, folder=folder / name, key=key, texts=texts)
        if kept is not None:
            yield kept, True
        elif crew is None:
            yield task(lab), False
        else:
            tasks[name] = task
    if crew is not None and tasks:
        longest_first = sorted(
            tasks, key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST)
        )
        for result in crew.run([tasks[name] for name in longest_first], lab.progress):
            yield result, False


def _make(lab: Lab, name: str, folder: Path, key: str, texts: Sequence[str]) -> Result:
    """Runs a study and keeps it; one that was stopped midway goes on."""
    parts, begun = _parts(folder, key), time.monotonic()
    lab = replace(lab, parts=parts)
    result = corpus(lab, texts=texts) if name == "corpus" else STUDIES[name](lab)
    save_result(folder, result, key)
    parts.clear()
    return replace(result, seconds=time.monotonic() - begun)


def _parts(folder: Path, key: str) -> Parts:
    return Parts(folder.with_name(f".{folder.name}-{key[:16]}"))


def _key(lab: Lab, name: str, texts: Sequence[str]) -> str:
    """Of everything a study's result depends on."""
    facts: dict[str, object] = {
        "study": name,
        "scale": lab.scale,
        "weights": lab.model.identity.weights_sha256,
        "dtype": lab.model.identity.dtype,
        "template": lab.model.tokenizer.chat_template,
        "vectors": lab.vectors.digest,
        "texts": list(texts) if name == "corpus" else [],
        "dialogues": lab.more.digest if name in DIALOGUES else "",
        "version": __version__,
    }
    if name in METHOD:
        facts["method"] = METHOD[name]
    if name == "geometry":
        facts["card"] = lab.vectors.card.get("sections", {}).get("reliability")
    if name in WITH_LEXICON:
        facts["lexicon"] = find_spec("vaderSentiment") is not None
    return key_of(facts)
