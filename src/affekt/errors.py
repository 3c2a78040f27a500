"""Every error Affekt raises on purpose: it names what was wrong and the nearest right thing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "AffektError",
    "BiasError",
    "CalibrationError",
    "CorpusError",
    "ModelError",
    "PolicyError",
    "PromptError",
    "ReadingError",
    "SelfCheckError",
    "StorageError",
    "UnknownConcept",
    "VectorsError",
    "WriterError",
    "closest",
]


class AffektError(Exception):
    """Base of all deliberate errors; the command line prints it on one line and exits with `exit_code`."""

    exit_code = 1

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


class UnknownConcept(AffektError, KeyError):
    """A concept that the vectors do not hold."""

    exit_code = 2

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown concept {name!r}{closest(name, known)}")
        self.name = name


class CorpusError(AffektError, ValueError):
    """A corpus file that is wrong; names the file and the line."""

    exit_code = 3


class ModelError(AffektError, ValueError):
    """A model that cannot be found, fetched, verified or opened."""

    exit_code = 4


class SelfCheckError(ModelError):
    """An opened model whose residual stream does not behave as Affekt needs."""


class VectorsError(AffektError, ValueError):
    """A vectors file that is damaged, or that belongs to another model."""

    exit_code = 5


class BiasError(AffektError, ValueError):
    """An `emotion_bias` that cannot be applied."""

    exit_code = 6


class PromptError(AffektError, ValueError):
    """A text or chat that cannot be read or continued."""

    exit_code = 7


class CalibrationError(AffektError, ValueError):
    """Too little data, or the wrong data, for the promise that was asked for."""

    exit_code = 8


class PolicyError(AffektError, ValueError):
    """A guard policy that contradicts itself or names something unknown."""

    exit_code = 9


class StorageError(AffektError, OSError):
    """A file that could not be written whole; nothing half made is left."""

    exit_code = 10


class ReadingError(AffektError, ValueError):
    """A reading whose parts do not agree, or a part of it that is not there."""

    exit_code = 11


class WriterError(AffektError, ValueError):
    """A model or endpoint that cannot write the corpus it was asked for."""

    exit_code = 12


def closest(word: str, known: Iterable[str], n: int = 3) -> str:
    """The tail of an error message: `; did you mean 'desperate'?`, or `""` where nothing is near."""
    near = difflib.get_close_matches(word.lower(), list(known), n=n, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(w) for w in near)}?" if near else ""
