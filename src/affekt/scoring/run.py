"""A corpus from end to end: gone through, read by one worker or many, put together; stopped, it goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from affekt.errors import CorpusError, ModelError, StorageError
from affekt.progress import Progress
from affekt.scoring.outcome import Scores, merged, save
from affekt.scoring.page import page
from affekt.scoring.place import Place, file_system
from affekt.scoring.rays import score_on_ray
from affekt.scoring.scorer import Scorer, finished
from affekt.scoring.settings import Settings
from affekt.scoring.survey import Part, Survey, survey
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["score_corpus"]

FORMAT = "affekt.scores/1"
RUN = "run.json"


def score_corpus(
    corpus: str | Path,
    out: str | Path,
    settings: Settings,
    vectors: ConceptVectors,
    *,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Reads every document of a corpus once and writes what the vectors say about it.

    The folder gets `documents/` and, where asked for, `tokens/` (Parquet, a file a part), `passages.parquet`,
    `percentiles.parquet`, `summary.json` and `index.html`. Parts that are there already are not read again,
    whoever read them.

    Args:
        corpus: a Parquet or JSON Lines file, a folder or pattern of them, local or at a URL of fsspec.
        out: a folder, local or at a URL; new, or of the same run.
        settings: what is asked for.
        vectors: the model's concept vectors.
        workers: 1 reads in this process; more are actors of Ray with an engine each. The result is the same.
        cluster: address of a running Ray cluster, for any number of workers; `local` starts one here.
        progress: told how far it is.

    Raises:
        CorpusError: the corpus cannot be read, or holds something that cannot be used; nothing was written.
        StorageError: the folder cannot be written, or holds something else; what is finished stays.
        ModelError: the model or the engine cannot be opened.
        VectorsError: vectors of another model.
        UnknownConcept: a concept that the vectors do not hold.
    """
    _require_pyarrow()
    concepts = settings.chosen(vectors)
    _apart(str(corpus), str(out))

    def gone_through(documents: int) -> None:
        if progress is not None:
            progress("going through", documents, 0)

    found = survey(
        str(corpus), settings.columns, size=settings.part, skip=settings.skip, progress=gone_through
    )
    place = Place(out)
    facts = settings.facts(vectors, found.digest)
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    _begin(place, key, facts)
    done = {part.number for part in found.parts if finished(place, part, key) is not None}
    pending = [part for part in found.parts if part.number not in done]
    count = sum(part.count for part in found.parts if part.number in done)
    if progress is not None:
        progress("reading", count, found.documents)
    sizes = {part.number: part.count for part in pending}
    for number in _work(settings, vectors, found, place, key, pending, workers, cluster):
        count += sizes[number]
        if progress is not None:
            progress("reading", count, found.documents)
    parts = [finished(place, part, key) for part in found.parts]
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        raise StorageError(f"{out}: {len(parts) - len(whole)} parts are gone again; the same command goes on")
    scores = merged(whole, concepts, facts["layer"], found.faults, settings.kept)
    save(scores, place, facts)
    place.write("index.html", page(scores).encode())
    return scores


def _work(
    settings: Settings,
    vectors: ConceptVectors,
    found: Survey,
    out: Place,
    key: str,
    pending: Sequence[Part],
    workers: int,
    cluster: str | None,
) -> Iterator[int]:
    """Each part's number when it is done."""
    if not pending:
        return
    if workers > 1 or cluster is not None:
        yield from score_on_ray(settings, vectors, found, out, key, pending, workers, cluster)
        return
    with closing(Scorer(settings, vectors, found, out, key)) as scorer:
        for part in pending:
            scorer.score(part)
            yield part.number


def _begin(place: Place, key: str, facts: Mapping[str, Any]) -> None:
    """Says in the folder whose it is, or refuses one that is another's."""
    data = place.read(RUN)
    held = place.names()
    # Begun and nothing read, as when the model could not be opened: such a folder is nobody's.
    if data is None or held == [RUN]:
        if data is None and held:
            raise StorageError(f"{place} is not empty and holds no scores; name a new folder")
        record = {"format": FORMAT, "key": key, "settings": facts}
        place.write(RUN, (json.dumps(record, indent=1) + "\n").encode())
        return
    try:
        record = json.loads(data)
        theirs = dict(record["settings"]) if record["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{place}/{RUN} is damaged ({error}); name a new folder") from error
    if theirs is None:
        raise StorageError(f"{place} holds scores of another version of Affekt; name a new folder")
    differ = [name for name in facts if theirs.get(name) != facts[name]]
    if differ or record["key"] != key:
        raise StorageError(
            f"{place} holds the scores of another run ({', '.join(differ) or 'key'} differ); name a new "
            "folder, or give what it was begun with"
        )


def _apart(corpus: str, out: str) -> None:
    """Refuses results inside the corpus, whose files they would join."""
    (one, inner), (other, outer) = file_system(out), file_system(corpus)
    if type(one) is type(other) and (inner == outer or inner.startswith(f"{outer}/")):
        raise CorpusError(f"{out} lies inside the corpus {corpus}; name a folder beside it")


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ModelError("scoring a corpus writes Parquet: pip install 'affekt[scale]'") from error
