"""Write a file, or a record at the end of one, whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from affekt.errors import StorageError

__all__ = ["Appended", "check_writable", "is_part", "replacing", "write_text"]

_SUFFIX = ".part"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to; on success it takes the place of `path`.

    A link is followed: the file that it points to is replaced. A process that is killed leaves `path` as it
    was, and the temporary file, which `is_part` knows by its name.

    Raises:
        StorageError: the disk is full, the folder is missing or not writable; `path` is as it was.
    """
    target = Path(os.path.realpath(path))
    part = _beside(target)
    try:
        # Made here and not by the writer, so that a folder that takes no files is found before the work.
        _touch(part)
        mode = (target if target.exists() else part).stat().st_mode
        yield part
        with part.open("r+b") as written:
            os.fsync(written.fileno())
        # The writer may have put a file of its own, with other permissions, in the place of ours.
        part.chmod(stat.S_IMODE(mode))
        part.replace(target)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"could not write {path}: {_why(error)}; nothing was left half written") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Finds out before long work whether a file can be put at `path`. Its folder is made, the file is not.

    Raises:
        StorageError: it cannot; says why.
    """
    target = Path(os.path.realpath(path))
    part = _beside(target)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        _touch(part)
    except OSError as error:
        raise StorageError(f"could not write {path}: {_why(error)}; name another file") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def is_part(path: Path) -> bool:
    """Whether a file is what a process killed in `replacing` has left."""
    return path.name.startswith(".") and path.suffix == _SUFFIX


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


class Appended:
    """A file that records are added to. Nothing waits in memory, so closing it cannot fail on a full disk."""

    def __init__(self, path: Path, keep: int | None = None) -> None:
        """Opens the file, made if it is not there, for adding to its end.

        Args:
            path: the file; its folder is there.
            keep: how many of its bytes stay; None is all.

        Raises:
            StorageError: it cannot be written.
        """
        self._path = path
        try:
            self._file = path.open("ab", buffering=0)
            if keep is not None:
                self._file.truncate(keep)
        except OSError as error:
            raise StorageError(f"could not write {path}: {_why(error)}") from error

    def add(self, record: bytes, sync: bool = False) -> None:
        """Adds a record, at least as far as the system.

        Args:
            record: its bytes, line feed included.
            sync: wait until the disk has it.

        Raises:
            StorageError: the disk is full or the file is gone; of the record nothing is left.
        """
        before = os.fstat(self._file.fileno()).st_size
        try:
            rest = memoryview(record)
            while rest:
                rest = rest[self._file.write(rest) :]
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(before)
            raise StorageError(
                f"could not write {self._path}: {_why(error)}; what was finished before is kept, and the "
                f"same command goes on"
            ) from error

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def __enter__(self) -> Appended:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _beside(target: Path) -> Path:
    return target.parent / f".{target.name[:40]}.{secrets.token_hex(6)}{_SUFFIX}"


def _touch(part: Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    part.touch(exist_ok=False)


def _why(error: OSError) -> str:
    return "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
