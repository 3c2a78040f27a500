"""A folder, local or at a URL, whose files are there whole or not at all."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path
from typing import Any

from affekt.atomic import is_part, replacing
from affekt.errors import StorageError

__all__ = ["Place"]


class Place:
    """A folder by its path or by a URL that fsspec knows, such as `s3://bucket/scores`."""

    def __init__(self, url: str | Path) -> None:
        """Connects to nothing but the file system that the URL names.

        Raises:
            StorageError: for a URL of an unknown kind, or of one whose library is not installed.
        """
        self.url = str(url)
        self._system, self._root = file_system(self.url)
        self.local: Path | None = Path(self._root) if _is_local(self._system) else None
        """The folder's path where it is on this machine."""

    def write(self, name: str, data: bytes) -> None:
        """Puts a file there whole.

        Raises:
            StorageError: it could not be written; one that was there before is untouched on a local disk.
        """
        if self.local is not None:
            with replacing(self.local / name) as part:
                part.write_bytes(data)
            return
        path = f"{self._root}/{name}"
        try:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(path, data)
        except Exception as error:  # every file system behind fsspec raises its own
            raise StorageError(f"could not write {self.url}/{name}: {_why(error)}") from error

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is no such file.

        Raises:
            StorageError: it is there and cannot be read.
        """
        try:
            return bytes(self._system.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise StorageError(f"could not read {self.url}/{name}: {_why(error)}") from error

    def remove(self, name: str) -> None:
        """Removes a file, where it is there and may be removed."""
        with suppress(Exception):  # every file system behind fsspec raises its own
            self._system.rm_file(f"{self._root}/{name}")

    def names(self, folder: str = "") -> list[str]:
        """The names of the files and folders in it, or in one of its folders; none where it is not there."""
        path = f"{self._root}/{folder}" if folder else self._root
        try:
            self._system.invalidate_cache()
            found = self._system.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = sorted(str(one).rstrip("/").rpartition("/")[2] for one in found)
        return [name for name in names if not is_part(Path(name))]

    def __str__(self) -> str:
        return self.url


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a path or URL, and the path on it.

    Raises:
        StorageError: for a URL of an unknown kind, or of one whose library is not installed.
    """
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise StorageError(f"{url}: {_why(error)}") from error
    return system, str(path).rstrip("/")


def _is_local(system: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(system, LocalFileSystem)


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
