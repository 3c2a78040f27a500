"""ConceptVectors: per layer a direction for each concept, with all it takes to read and steer by them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts import Concept
from affekt.errors import UnknownConcept, VectorsError
from affekt.models.model import Identity
from affekt.vectors.directions import unit
from affekt.vectors.provenance import Provenance, require
from affekt.vectors.readout import POSITIONS, ReadOut
from affekt.vectors.recipe import VARIANTS, Variant, check_variant
from affekt.vectors.storage import read_fields, write_fields

__all__ = ["VARIANTS", "ConceptVectors", "Provenance", "Variant", "load_vectors", "save_vectors", "unit"]


@dataclass(frozen=True, eq=False, repr=False)
class ConceptVectors:
    """Directions of concepts in the residual stream of one model. All tensors are float32 on the CPU."""

    concepts: tuple[Concept, ...]
    """The concepts, in the order of every `concepts` axis."""
    layers: tuple[int, ...]
    """The layers held, in the order of every `layers` axis."""
    raw: Float[Tensor, "layers concepts d_model"]
    """Mean of a concept minus the mean over concepts, topics balanced."""
    projected: Float[Tensor, "layers concepts d_model"]
    """`raw` with the leading components of neutral dialogues removed."""
    whitened: Float[Tensor, "layers concepts d_model"]
    """`raw` times the inverse root of the within-concept covariance."""
    weight: Float[Tensor, "layers concepts d_model"]
    """Unit read-out weights: the discriminant, or `projected`, whichever reads better on held-out forms."""
    mean: Float[Tensor, "layers positions concepts"]
    """Mean of residual . weight over the reference tokens of each position."""
    std: Float[Tensor, "layers positions concepts"]
    """Deviation of the same."""
    norms: Float[Tensor, "layers"]
    """Mean residual norm over ordinary text, the first token and padding left out: the unit of a dose."""
    doses: Float[Tensor, "concepts"]
    """Largest coherent dose, where the dial stands at 1; NaN where it was not calibrated."""
    read_layer: int
    """Layer that is read unless another is asked for."""
    steer_layers: tuple[int, ...]
    """Band over which a dose is shared out."""
    steer_variant: Variant
    """Which vectors steer."""
    provenance: Provenance
    """Model, corpora, recipe, versions."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """Quality figures, empty until `affekt check` has run."""

    def __post_init__(self) -> None:
        """Refuse sets whose parts do not fit together or that hold NaN."""
        layers, concepts, d_model = len(self.layers), len(self.concepts), self.provenance.model.d_model
        shapes: dict[str, tuple[int, ...]] = {
            name: (layers, concepts, d_model) for name in (*VARIANTS, "weight")
        }
        shapes |= {name: (layers, len(POSITIONS), concepts) for name in ("mean", "std")}
        shapes |= {"norms": (layers,), "doses": (concepts,)}
        for name, shape in shapes.items():
            value: Tensor = getattr(self, name)
            if tuple(value.shape) != shape:
                raise VectorsError(f"{name} has the shape {tuple(value.shape)}, expected {shape}")
            if name != "doses" and not bool(value.isfinite().all()):
                raise VectorsError(f"{name} holds NaN or infinity")
        for name in ("std", "norms"):
            if not bool((getattr(self, name) > 0).all()):
                raise VectorsError(f"{name} holds a value that is not above 0")
        for what, named in (("layer", self.layers), ("concept", self.names)):
            if len(set(named)) < len(named):
                raise VectorsError(f"a {what} stands twice: {next(n for n in named if named.count(n) > 1)!r}")
        for layer in (self.read_layer, *self.steer_layers):
            self.place(layer)
        check_variant(self.steer_variant)

    def __repr__(self) -> str:
        model = self.provenance.model
        return (
            f"ConceptVectors({len(self.concepts)} concepts, layers {', '.join(map(str, self.layers))} of "
            f"{model.n_layers}, {model.name})"
        )

    @classmethod
    def load(cls, path: str | Path) -> ConceptVectors:
        """Read a set of vectors back.

        Raises:
            VectorsError: the file is missing, cut short, not ours, of another format or inconsistent.
        """
        fields = read_fields(path)
        try:
            return cls(**fields)
        except VectorsError as error:
            raise VectorsError(f"{path} is damaged ({error}); extract the vectors again") from error

    def save(self, path: str | Path) -> Path:
        """Write the set to a `.safetensors` file.

        Raises:
            StorageError: it could not be written; a file that was there before is untouched.
            VectorsError: the card is not plain JSON.
        """
        write_fields(vars(self), path)
        return Path(path)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The concepts' words."""
        return tuple(concept.name for concept in self.concepts)

    def index(self, name: str) -> int:
        """Place of a concept on the `concepts` axis.

        Raises:
            UnknownConcept: the set does not hold it; the nearest names are in the message.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise UnknownConcept(name, self.names) from None

    def place(self, layer: int) -> int:
        """Place of a layer on the `layers` axis.

        Raises:
            VectorsError: the set does not hold it.
        """
        if layer not in self.layers:
            raise VectorsError(f"these vectors hold the layers {list(self.layers)}, not {layer}")
        return self.layers.index(layer)

    @property
    def digest(self) -> str:
        """A hash of all that reads and steers: directions, statistics, doses and layers, not of the card."""
        sums = hashlib.sha256(repr((self.layers, self.read_layer, self.steer_layers, self.names)).encode())
        sums.update(self.steer_variant.encode())
        for each in (self.raw, self.projected, self.whitened, self.weight, self.mean, self.std):
            sums.update(each.contiguous().numpy().tobytes())
        sums.update(self.norms.numpy().tobytes() + self.doses.numpy().tobytes())
        return sums.hexdigest()

    def directions(
        self, layer: int | None = None, variant: Variant | None = None
    ) -> Float[Tensor, "concepts d_model"]:
        """Unit vectors at a layer (default: the read layer) of a variant (default: the one that steers)."""
        chosen = variant or self.steer_variant
        check_variant(chosen)
        stack: Tensor = getattr(self, chosen)
        return unit(stack[self.place(self.read_layer if layer is None else layer)])

    def __getitem__(self, name: str) -> Float[Tensor, "d_model"]:
        """The unit steering direction of a concept at the read layer."""
        return self.directions()[self.index(name)]

    def similar(self, name: str, k: int = 10, variant: Variant = "whitened") -> list[tuple[str, float]]:
        """The `k` concepts of the highest cosine with one, itself left out."""
        own = self.index(name)
        units = self.directions(variant=variant)
        cosines = units @ units[own]
        order = [i for i in cosines.argsort(descending=True).tolist() if i != own]
        return [(self.names[i], float(cosines[i])) for i in order[:k]]

    def readout(self, layer: int | None = None) -> ReadOut:
        """The read-out at a layer (default: the read layer)."""
        layer = self.read_layer if layer is None else layer
        at = self.place(layer)
        return ReadOut(layer, self.weight[at], self.mean[at], self.std[at], unit(self.projected[at]))

    def require(self, model: Identity, sibling: bool = False) -> None:
        """Refuse to be used on another model; with `sibling`, only on one of another shape.

        Raises:
            VectorsError: naming both models.
        """
        require(self.provenance.model, model, sibling)

    def join(self, other: ConceptVectors) -> ConceptVectors:
        """Both sets as one; this one's layers, norms and defaults stay.

        Raises:
            VectorsError: they are not of one model, do not hold the same layers, or share a concept.
        """
        other.require(self.provenance.model)
        if other.layers != self.layers:
            raise VectorsError(f"cannot join layers {list(self.layers)} with {list(other.layers)}")
        twice = sorted(set(self.names) & set(other.names))
        if twice:
            raise VectorsError(f"both sets hold {', '.join(map(repr, twice[:5]))}")
        along = {name: 1 for name in (*VARIANTS, "weight")} | {"mean": 2, "std": 2, "doses": 0}
        joined: dict[str, Any] = {
            name: torch.cat([getattr(self, name), getattr(other, name)], dim) for name, dim in along.items()
        }
        provenance = self.provenance.join(other.provenance)
        return replace(self, concepts=self.concepts + other.concepts, provenance=provenance, **joined)


def save_vectors(vectors: ConceptVectors, path: str | Path) -> Path:
    """`ConceptVectors.save` as a function."""
    return vectors.save(path)


def load_vectors(path: str | Path) -> ConceptVectors:
    """`ConceptVectors.load` as a function."""
    return ConceptVectors.load(path)
