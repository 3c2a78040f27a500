"""Where a model's vectors are kept when no file is named."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from affekt.models.cache import cache_folder

__all__ = ["shelf"]


def shelf(model: str, cache: str | Path | None = None) -> Path:
    """The default vectors file of a model: the model's name, quoted so that no two names share a file."""
    return cache_folder(cache) / "vectors" / f"{quote(model, safe='')}.safetensors"
