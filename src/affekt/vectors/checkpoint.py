"""The state of a pass that can be stopped and gone on with."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from affekt.atomic import is_part
from affekt.errors import VectorsError
from affekt.vectors import tensorfile

__all__ = ["Checkpoint"]

SAVE_EVERY = 30.0
"""Least seconds between two saves."""

SHARE = 0.05
"""Most of the time that saving may take."""


@dataclass
class Checkpoint:
    """Where passes keep their sums while they run, one file a stage.

    The files stay when the passes are done, so that nothing is lost if the result cannot be written; whoever
    has written it calls `clear`.
    """

    path: Path
    """The folder of the stages' files."""
    key: str = ""
    """What the sums belong to: model, texts and options. Sums of another key are not taken up."""
    _pause: float = SAVE_EVERY
    _saved: float = field(default_factory=time.monotonic)

    def about(self, facts: Iterable[object]) -> Checkpoint:
        """The same folder, with a key that covers further facts; these are JSON, and their order counts."""
        key = hashlib.sha256(self.key.encode())
        for fact in facts:
            key.update(b"\n" + json.dumps(fact, sort_keys=True, default=dict).encode())
        return replace(self, key=key.hexdigest())

    def load(self, stage: str, like: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], set[int]]:
        """Sums so far and the indices of the texts in them; nothing where there is no sound file of this key
        with tensors of the names, shapes and dtypes of `like`."""
        with suppress(VectorsError, OSError):
            sums, about = tensorfile.read(self._file(stage))
            done = sums.pop("done", None)
            if about.get("key") == self.key and done is not None and _kinds(sums) == _kinds(like):
                return sums, set(done.tolist())
        return {}, set()

    def save(self, stage: str, sums: Mapping[str, Tensor], done: set[int], now: bool = False) -> None:
        """Keep the sums; unless `now`, only when the last save is long enough ago.

        Raises:
            StorageError: they cannot be written; those of the last save are still there.
        """
        start = time.monotonic()
        if not now and start - self._saved < self._pause:
            return
        tensorfile.write(
            self._file(stage),
            {**sums, "done": torch.tensor(sorted(done), dtype=torch.long)},
            {"key": self.key},
        )
        self._saved = time.monotonic()
        self._pause = max(SAVE_EVERY, (self._saved - start) / SHARE)

    def clear(self) -> None:
        """Remove the stages' files, whatever their key, and the folder if nothing else is in it."""
        for file in [*self.path.glob("*.sums"), *self.path.glob(".*")]:
            # Of a process that was killed while it saved: our own part, or the one safetensors writes first.
            if file.suffix == ".sums" or is_part(file) or file.name.startswith(".tmp"):
                with suppress(OSError):
                    file.unlink()
        with suppress(OSError):
            self.path.rmdir()

    def _file(self, stage: str) -> Path:
        # A hash, since a stage has the name of a corpus: that may be anything, and two may have the same.
        return self.path / f"{hashlib.sha256(f'{self.key} {stage}'.encode()).hexdigest()[:16]}.sums"


def _kinds(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
