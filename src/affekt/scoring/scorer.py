"""One worker: an engine, and parts read one after another, each written whole before it counts as done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from affekt.engines.opening import open_engine
from affekt.errors import CorpusError, PromptError
from affekt.models.prompt import Encoded, encode
from affekt.scoring.document import Document
from affekt.scoring.place import Place
from affekt.scoring.reader import Reader
from affekt.scoring.settings import Settings
from affekt.scoring.state import Done, dump, restore
from affekt.scoring.survey import Fault, Part, Survey
from affekt.scoring.tables import documents_table, parquet, tokens_table
from affekt.scoring.tally import Tally
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["DOCUMENTS", "STATE", "TOKENS", "Scorer", "finished"]

DOCUMENTS, TOKENS, STATE = "documents", "tokens", "state"
"""Folders of the result."""

AT_ONCE = 200_000
"""Characters given to the engine at a time: their readings are in memory together."""


class Scorer:
    """Reads parts of a corpus and writes what it finds."""

    def __init__(
        self, settings: Settings, vectors: ConceptVectors, found: Survey, out: Place, key: str
    ) -> None:
        """Opens the engine.

        Raises:
            ModelError: for a model or an engine that cannot be opened.
            VectorsError: for vectors of another model.
        """
        self._settings, self._out, self._key = settings, out, key
        self._concepts = settings.chosen(vectors)
        self._reader = Reader(found.files, found.columns)
        self._engine = open_engine(
            settings.engine,
            settings.model,
            vectors,
            dtype=settings.dtype,
            sibling=settings.sibling,
            options=settings.options,
        )

    def close(self) -> None:
        """Ends the engine."""
        self._engine.close()

    def score(self, part: Part) -> Done:
        """Reads a part, unless that was done before.

        Its tables are written first and its state last: a part without a state is not done, and doing it
        again replaces its tables.

        Raises:
            CorpusError: for a document that cannot be read, or a file that has changed.
            StorageError: what was read cannot be written.
        """
        before = finished(self._out, part, self._key)
        if before is not None:
            return before
        documents, sources, cut, faults = self._ready(self._reader.documents(part))
        tally = Tally.empty(len(self._concepts), self._settings.kept)
        readings = []
        for batch in _batches(sources):
            for one, reading in zip(
                documents[batch],
                self._engine.read(sources[batch], self._concepts, self._settings.layer),
                strict=True,
            ):
                tally = tally.add(reading, one.ordinal, one.id)
                readings.append(reading)
        file = f"{part.name}.parquet"
        table = documents_table(documents, readings, cut, self._concepts)
        self._out.write(f"{DOCUMENTS}/{file}", parquet(table))
        if self._settings.per_token:
            self._out.write(f"{TOKENS}/{file}", parquet(tokens_table(documents, readings, self._concepts)))
        done = Done(self._key, self._engine.identity, tally, len(documents), sum(cut), tuple(faults))
        self._out.write(_state(part), dump(done))
        return done

    def _ready(
        self, documents: Sequence[Document]
    ) -> tuple[list[Document], list[Encoded], list[bool], list[Fault]]:
        """Documents as tokens, their ends left out where they are too long."""
        most = min(self._settings.max_tokens or self._engine.context, self._engine.context)
        kept: list[Document] = []
        sources: list[Encoded] = []
        cut: list[bool] = []
        faults: list[Fault] = []
        for one in documents:
            try:
                whole = encode(self._engine.tokenizer, one.source)
            except PromptError as error:
                fault = Fault(f"{one.file}:{one.row + 1}", str(error))
                if not self._settings.skip:
                    raise CorpusError(f"{fault} (--skip-corrupt leaves out what cannot be used)") from error
                faults.append(fault)
                continue
            kept.append(one)
            cut.append(len(whole) > most)
            sources.append(Encoded(whole.ids[:most], whole.spans[:most], whole.roles[:most], whole.text))
        return kept, sources, cut, faults


def finished(out: Place, part: Part, key: str) -> Done | None:
    """What a part has left if it is done; None if it is not."""
    data = out.read(_state(part))
    done = restore(data) if data is not None else None
    return done if done is not None and done.key == key else None


def _state(part: Part) -> str:
    return f"{STATE}/{part.name}.json.gz"


def _batches(sources: Sequence[Encoded]) -> Iterator[slice]:
    """Runs of sources of at most `AT_ONCE` characters, or of one."""
    start = size = 0
    for at, source in enumerate(sources):
        if at > start and size + len(source.text) > AT_ONCE:
            yield slice(start, at)
            start, size = at, 0
        size += len(source.text)
    if start < len(sources):
        yield slice(start, len(sources))
