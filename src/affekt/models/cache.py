"""The folder where fetched and converted models are kept, and making things in it once."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from affekt.errors import AffektError, StorageError
from affekt.models.progress import working

__all__ = ["cache_folder", "make_once"]

FULL = {errno.ENOSPC, errno.EDQUOT}


def cache_folder(cache: str | Path | None = None) -> Path:
    """The folder given, else `affekt` in the user's cache: `$XDG_CACHE_HOME`, or `~/.cache`."""
    if cache is not None:
        return Path(cache).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "affekt"


def make_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, made by `make` if it is not there yet.

    `make` fills a temporary folder, which then takes its place in one step: a killed process leaves nothing
    half made, and what it left is removed by the next. Of several processes one makes it, the others wait.

    Raises:
        StorageError: when the disk is full or the cache cannot be written to.
    """
    if folder.is_dir():
        return folder
    part = folder.with_name(f".{folder.name}.part")
    lock = _lock(folder)
    try:
        if not folder.is_dir():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.replace(folder)
    except AffektError:
        raise
    except Exception as error:
        if why := _storage_trouble(error):
            raise StorageError(f"could not write to the cache {folder.parent}: {why}") from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        lock.release()
    return folder


def _lock(folder: Path) -> FileLock:
    """The folder's lock, taken; the system frees it when its holder dies."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            with working(f"another process is preparing {folder.name}; waiting for it"):
                lock.acquire()
    except OSError as error:
        why = _storage_trouble(error) or error.strerror or str(error)
        raise StorageError(f"could not write to the cache {folder.parent}: {why}") from error
    return lock


def _storage_trouble(error: Exception) -> str | None:
    """What is wrong with the disk, or None for another kind of error; some libraries only say it in words."""
    number = error.errno if isinstance(error, OSError) else None
    if number in FULL or "No space left on device" in str(error):
        return "the disk is full; free some space, or name another folder as the cache"
    if number in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "it is not writable; name another folder as the cache"
    return None
