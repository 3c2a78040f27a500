"""A corpus: texts labelled with a concept, a topic and a form; checked on load, and hashed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from affekt.atomic import write_text
from affekt.concepts.concept import Concept, Kind, concepts_of
from affekt.concepts.jsonl import records
from affekt.concepts.spelling import check_spelling
from affekt.concepts.text import Text, text_of
from affekt.errors import CorpusError, closest

__all__ = ["Corpus", "Text", "files_of"]

_Path: TypeAlias = str | os.PathLike[str]
_Choice: TypeAlias = str | Collection[str] | None


@dataclass(frozen=True)
class Corpus:
    """Labelled texts in memory. `len` and iteration are over the texts."""

    texts: tuple[Text, ...]
    """The texts, in the order of their files."""
    name: str = "corpus"
    """What to call it in reports; not part of the hash."""
    kind: Kind = "emotion"
    """The kind of all its concepts."""

    @classmethod
    def load(
        cls,
        path: _Path | Sequence[_Path],
        *,
        name: str | None = None,
        kind: Kind = "emotion",
        own: Collection[str] = (),
    ) -> Corpus:
        """Read and check a JSON Lines file, a folder of them (`*.jsonl`, at any depth), or several of either.

        Each line has `topic`, `form`, `concept` and either `text` or `messages`. A corpus may define concepts
        of its own; beside known ones, a word that is almost a known one is taken for a slip, unless it is in
        `own`.

        Args:
            path: the file or folder, or a list of them.
            name: what to call the corpus; by default the name of the file or folder.
            kind: the kind of its concepts.
            own: words that are meant as they stand though they resemble a known concept.

        Raises:
            CorpusError: no such file, a wrong record, a text that stands twice, a misspelt concept; it names
                file and line.
        """
        paths = [Path(path)] if isinstance(path, str | os.PathLike) else [Path(each) for each in path]
        placed = [
            (where, text_of(record, where)) for file in files_of(paths) for where, record in records(file)
        ]
        if not placed:
            raise CorpusError(f"{' '.join(map(str, paths)) or 'no path'}: no texts")
        _check_unique(placed)
        first: dict[str, str] = {}
        for where, text in placed:
            first.setdefault(text.concept, where)
        check_spelling(first, kind, own)
        texts = tuple(text for _, text in placed)
        return cls(texts, name or "+".join(each.stem for each in paths), kind)

    def save(self, path: _Path) -> Path:
        """Write all texts as one JSON Lines file that `load` reads back; whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        target = Path(path)
        lines = (json.dumps(text.record(), ensure_ascii=False) + "\n" for text in self.texts)
        write_text(target, "".join(lines))
        return target

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[Text]:
        return iter(self.texts)

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        """Those that have a text: known ones in the paper's order, then the corpus's own by the alphabet."""
        return concepts_of((text.concept for text in self.texts), self.kind)

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """The forms, by the alphabet."""
        return tuple(sorted({text.form for text in self.texts}))

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """The topics, by the alphabet."""
        return tuple(sorted({text.topic for text in self.texts}))

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the texts and their labels, whatever the order of files and lines."""
        lines = sorted(json.dumps(text.record(), sort_keys=True) for text in self.texts)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def gaps(self) -> Mapping[str, tuple[str, ...]]:
        """Concept -> topics in which it has no text. Where there are any, topic does not quite cancel."""
        covered = {(text.concept, text.topic) for text in self.texts}
        missing = {
            concept.name: tuple(topic for topic in self.topics if (concept.name, topic) not in covered)
            for concept in self.concepts
        }
        return {name: topics for name, topics in missing.items() if topics}

    def only(self, *, form: _Choice = None, topic: _Choice = None, concept: _Choice = None) -> Corpus:
        """The texts that have one of the forms, one of the topics and one of the concepts that are given.

        Raises:
            CorpusError: the corpus has no such form, topic or concept.
        """
        choices = self._choices(form, topic, concept)
        kept = (text for text in self if all(getattr(text, key) in names for key, names in choices.items()))
        return replace(self, texts=tuple(kept))

    def without(self, *, form: _Choice = None, topic: _Choice = None, concept: _Choice = None) -> Corpus:
        """The texts that have none of the forms, topics and concepts that are given.

        Raises:
            CorpusError: the corpus has no such form, topic or concept.
        """
        choices = self._choices(form, topic, concept)
        kept = (
            text for text in self if all(getattr(text, key) not in names for key, names in choices.items())
        )
        return replace(self, texts=tuple(kept))

    def _choices(self, form: _Choice, topic: _Choice, concept: _Choice) -> dict[str, frozenset[str]]:
        """Key -> the names chosen for it, each known to the corpus; keys that are not given are absent."""
        known = {"form": self.forms, "topic": self.topics, "concept": tuple(c.name for c in self.concepts)}
        given = {"form": form, "topic": topic, "concept": concept}
        choices = {
            key: frozenset([names] if isinstance(names, str) else names)
            for key, names in given.items()
            if names is not None
        }
        for key, names in choices.items():
            for unknown in sorted(names - set(known[key])):
                raise CorpusError(f"{self.name} has no {key} {unknown!r}{closest(unknown, known[key])}")
        return choices


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files to read, each once: a folder gives its `*.jsonl`, sorted, without hidden ones."""
    files: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*.jsonl") if not file.name.startswith("."))
            if not found:
                raise CorpusError(f"{path}: the folder holds no .jsonl file")
        elif path.exists():
            found = [path]
        else:
            beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
            raise CorpusError(f"{path}: no such file or folder{closest(path.name, beside)}")
        for file in found:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _check_unique(placed: Iterable[tuple[str, Text]]) -> None:
    """No body may stand twice, white space aside: it would count double, or for two concepts at once."""
    seen: dict[str, str] = {}
    for where, text in placed:
        body = text.body if isinstance(text.body, str) else json.dumps(text.record()["messages"])
        first = seen.setdefault(" ".join(body.split()), where)
        if first != where:
            raise CorpusError(f"{where}: the same text as at {first}")
