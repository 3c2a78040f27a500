"""What stands behind a folder of results: model, vectors, versions, machine, commands."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from affekt.atomic import write_text
from affekt.errors import StorageError
from affekt.quality.markdown import facts
from affekt.vectors import ConceptVectors
from affekt.version import __version__

__all__ = [
    "NO_TEMPLATE",
    "TURNS",
    "Background",
    "Run",
    "check_same_model",
    "load_background",
    "save_background",
]

TURNS = "chats are written by"
"""The fact that says how."""

NO_TEMPLATE = "lines that begin with Human and Assistant; the model has no chat template"
"""What it says of a base model."""

_FORMAT = "affekt.background/1"
_NAME = "background.json"
_LIBRARIES = ("torch", "transformers", "numpy", "scipy", "scikit-learn", "plotly")


@dataclass(frozen=True)
class Run:
    """One `affekt study`."""

    command: str
    """As it was typed."""
    scale: str
    """`quick` or `full`."""
    seconds: float
    """How long it took, studies that were kept from before apart."""
    ran: tuple[str, ...]
    """Studies that it ran."""


@dataclass(frozen=True)
class Background:
    """Everything that the results of one model were made of."""

    name: str
    """The model's name."""
    facts: tuple[tuple[str, str], ...]
    """Model, weights, vectors, texts: name and value."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions at the last run."""
    machine: str = ""
    """Processor, cores and device of the last run."""
    runs: tuple[Run, ...] = ()
    """All runs into this folder."""
    scales: dict[str, str] = field(default_factory=dict)
    """Study -> the scale it was run at."""


def save_background(
    folder: Path, vectors: ConceptVectors, vectors_sha256: str, device: str, run: Run, template: bool
) -> None:
    """Add a run to a folder's background; `template` is whether the model has one for chats.

    Raises:
        StorageError: it cannot be written.
    """
    before = load_background(folder)
    recipe = vectors.provenance.recipe
    first, share = recipe.get("first_token"), recipe.get("neutral_share")
    chosen = "not recorded" if first is None or share is None else f"token {first} on; {share:.0%}"
    told = (*facts(vectors), ("averaged from; neutral variance removed", chosen))
    told += (("vectors file", vectors_sha256[:16]),)
    told += ((TURNS, "the model's chat template" if template else NO_TEMPLATE),)
    cores = os.cpu_count()
    now = Background(
        vectors.provenance.model.name,
        tuple(told),
        {"affekt": __version__, "python": platform.python_version()}
        | {n: metadata.version(n) for n in _LIBRARIES},
        f"{_processor()}, {cores} cores, {device}",
        (*(before.runs if before else ()), run),
        {**(before.scales if before else {}), **dict.fromkeys(run.ran, run.scale)},
    )
    write_text(folder / _NAME, json.dumps({"format": _FORMAT, **asdict(now)}, indent=1) + "\n")


def check_same_model(folder: Path, vectors: ConceptVectors) -> None:
    """Folders are named after models, and two checkpoints may be called alike.

    Raises:
        StorageError: the folder holds results of other weights, or its background is damaged.
    """
    before, now = load_background(folder), dict(facts(vectors))
    known = dict(before.facts).get("weights") if before is not None else None
    if known not in (None, now["weights"]):
        raise StorageError(
            f"{folder} holds the studies of another model of this name (weights {known}, here "
            f"{now['weights']}); give another folder with --out, or remove that one"
        )


def load_background(folder: Path) -> Background | None:
    """A folder's background; None where there is none.

    Raises:
        StorageError: it is damaged, or of another version.
    """
    file = folder / _NAME
    if not file.exists():
        return None
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if record.pop("format") != _FORMAT:
            raise StorageError(f"{file} is of another version of affekt; run the study again with --fresh")
        record["runs"] = tuple(Run(**(run | {"ran": tuple(run["ran"])})) for run in record["runs"])
        record["facts"] = tuple((name, value) for name, value in record["facts"])
        return Background(**record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{file} is damaged ({error}); remove it and run the study again") from error


def _processor() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
