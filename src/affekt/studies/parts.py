"""What a study has measured so far, on disk: one that is stopped midway goes on from there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affekt.atomic import write_text

__all__ = ["Parts"]


@dataclass(frozen=True)
class Parts:
    """The measured parts of one study of one key, a file each; without a folder nothing is kept."""

    folder: Path | None = None
    """Theirs alone; made with the first part."""

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, measured once: the next time it is read from the disk, the same to the last bit.

        Args:
            name: of the part, another for each of a study's.
            make: measures it; gives numbers, texts, lists and dictionaries by text, NaN among them.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        if self.folder is None:
            return make()
        file = self.folder / f"{name}.json"
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            made = make()
            write_text(file, json.dumps(made))
            return made

    def clear(self) -> None:
        """Takes the parts away, when the result that they went into is kept or to begin anew."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
