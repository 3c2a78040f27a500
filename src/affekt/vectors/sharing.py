"""Putting the shares of an extraction together: sums that several workers made, as if one had made them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from affekt.errors import VectorsError
from affekt.vectors import tensorfile
from affekt.vectors.moments import CellMeans, Gram

__all__ = ["merge_shares"]

State = Mapping[str, Tensor]


def merge_shares(folders: Iterable[str | Path], into: str | Path) -> int:
    """Merges the states that `extract_share` left into one, from which `extract(resume=into)` goes on.

    What no share has run is run there: a share that is missing costs time and nothing else.

    Returns:
        How many texts are in the sums.

    Raises:
        VectorsError: a folder holds no share, the shares are of different models, corpora or options, or a
            text is in two of them.
        StorageError: the merged state cannot be written.
    """
    stages: dict[str, tuple[dict[str, Tensor], str, Path]] = {}
    first: set[str] | None = None
    for folder in map(Path, folders):
        files = sorted(folder.glob("*.sums"))
        if not files:
            raise VectorsError(f"{folder} holds no share of an extraction; affekt extract --shard makes one")
        names = {file.name for file in files}
        # A stage's file is named by the key of the run, so that runs that differ have other files.
        if first is not None and names != first:
            raise VectorsError(
                f"{folder} is a share of another extraction, or one that did not end: its model, texts, "
                "layers, options or stages are not those of the others"
            )
        first = names
        for file in files:
            tensors, about = tensorfile.read(file)
            key = str(about.get("key"))
            if file.name in stages:
                before, _, where = stages[file.name]
                tensors = _together(before, tensors, f"{where} and {folder}")
            stages[file.name] = (tensors, key, folder)
    texts = 0
    for name, (tensors, key, _) in stages.items():
        tensorfile.write(Path(into) / name, tensors, {"key": key})
        texts += len(tensors["done"])
    return texts


def _together(one: State, other: State, where: str) -> dict[str, Tensor]:
    done = torch.cat([one["done"], other["done"]]).sort().values
    if len(set(done.tolist())) < len(done):
        raise VectorsError(f"{where} hold the same texts; give each share of one extraction once")
    names = set(one) - {"done"}
    for kind, merge in _KINDS.items():
        if names == set(kind):
            return {**merge(one, other), "done": done}
    raise VectorsError(f"{where}: sums of an unknown kind ({', '.join(sorted(names))})")


def _gram(one: State, other: State) -> dict[str, Tensor]:
    first, second = (Gram(**{name: part[name] for name in _GRAM}) for part in (one, other))
    return first.merge(second).state()


def _cells(one: State, other: State) -> dict[str, Tensor]:
    first, second = (CellMeans(part["sums"], part["counts"]) for part in (one, other))
    return {**first.merge(second).state(), "short": one["short"] + other["short"]}


_GRAM = ("count", "mean", "scatter", "norm")

_KINDS: Mapping[tuple[str, ...], Callable[[State, State], dict[str, Tensor]]] = {
    _GRAM: _gram,
    ("sums", "counts", "short"): _cells,
}
"""How the states of each kind of stage merge, by the names of their tensors."""
