"""Writing small wheels that pip accepts."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from affekt.models.registry import Wheel

__all__ = ["write_wheel"]


def write_wheel(folder: Path, package: str, members: dict[str, bytes]) -> Wheel:
    """Writes version 1.0 of a package with these files, and gives it as the registry pins it."""
    file = folder / f"{package}-1.0-py3-none-any.whl"
    about = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return Wheel(package.replace("_", "-"), "1.0", hashlib.sha256(file.read_bytes()).hexdigest())
