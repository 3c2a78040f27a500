"""The fields of a set of vectors as a safetensors file with JSON metadata, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from affekt.concepts import Concept
from affekt.errors import VectorsError
from affekt.models.model import Identity
from affekt.vectors import tensorfile
from affekt.vectors.provenance import Provenance
from affekt.vectors.recipe import VARIANTS

__all__ = ["FORMAT", "read_fields", "write_fields"]

FORMAT = 1
"""Version of the file's layout."""

_TENSORS = (*VARIANTS, "weight", "mean", "std", "norms", "doses")
_PLAIN = ("layers", "read_layer", "steer_layers", "steer_variant", "card")


def write_fields(fields: Mapping[str, Any], path: str | Path) -> None:
    """Write the fields of a `ConceptVectors`.

    Raises:
        StorageError: the file could not be written; one that was there before is untouched.
        VectorsError: the card or the recipe is not plain JSON.
    """
    about = {
        "format": FORMAT,
        "concepts": [asdict(concept) for concept in fields["concepts"]],
        "provenance": asdict(fields["provenance"]),
        **{name: fields[name] for name in _PLAIN},
    }
    # Copies, since two fields may share memory, which safetensors refuses.
    tensors = {name: fields[name].detach().clone(memory_format=torch.contiguous_format) for name in _TENSORS}
    tensorfile.write(path, tensors, about)


def read_fields(path: str | Path) -> dict[str, Any]:
    """The fields of a `ConceptVectors`, as its constructor takes them.

    Raises:
        VectorsError: the file is missing, damaged, not ours or of another format.
    """
    file = Path(path)
    if not file.is_file():
        raise VectorsError(f"no vectors file at {file}; make one with: affekt extract MODEL --out {file}")
    try:
        tensors, about = tensorfile.read(file)
    except OSError as error:
        raise VectorsError(f"{file} cannot be read: {error.strerror or error}") from error
    if "format" not in about:
        raise VectorsError(f"{file} is not a vectors file; affekt extract makes one")
    if about["format"] != FORMAT:
        raise VectorsError(f"{file} has the format {about['format']!r}, this Affekt reads {FORMAT}")
    try:
        provenance = about["provenance"]
        return {
            "concepts": tuple(Concept(**concept) for concept in about["concepts"]),
            "provenance": Provenance(**{**provenance, "model": Identity(**provenance["model"])}),
            **{name: about[name] for name in _PLAIN},
            "layers": tuple(about["layers"]),
            "steer_layers": tuple(about["steer_layers"]),
            **{name: tensors[name].to(torch.float32) for name in _TENSORS},
        }
    except (KeyError, TypeError) as error:
        raise VectorsError(f"{file} is damaged ({error}); extract the vectors again") from error
