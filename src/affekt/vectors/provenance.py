"""Where a set of vectors comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from affekt.errors import VectorsError
from affekt.models.model import Identity

__all__ = ["Provenance", "require"]


@dataclass(frozen=True)
class Provenance:
    """Where a set of vectors comes from."""

    model: Identity
    """The model they were extracted from; they read no other."""
    corpus: Mapping[str, str]
    """Content hash of each corpus, by its name."""
    recipe: Mapping[str, Any]
    """Every choice made on the way: first token, share of neutral variance, shrinkage, candidates and scores;
    under `joined` those of the sets that were joined to this one."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of affekt, torch and transformers."""

    def join(self, other: Provenance) -> Provenance:
        """Of both sets together."""
        corpus = dict(self.corpus)
        for name, digest in other.corpus.items():
            corpus[name if corpus.get(name, digest) == digest else f"{name} {digest[:8]}"] = digest
        joined = [*self.recipe.get("joined", ()), other.recipe]
        return replace(self, corpus=corpus, recipe={**self.recipe, "joined": joined})


def require(own: Identity, model: Identity, sibling: bool = False) -> None:
    """Refuse a model that vectors were not extracted from.

    Args:
        own: the model of the vectors.
        model: the opened model.
        sibling: allow a model of the same shape with other weights, as base and tuned are.

    Raises:
        VectorsError: naming both models.
    """
    same_shape = (own.n_layers, own.d_model) == (model.n_layers, model.d_model)
    if same_shape and (sibling or own.weights_sha256 == model.weights_sha256):
        return
    ask = "; ask for it explicitly if they are a base and its tuned sibling" if same_shape else ""
    raise VectorsError(f"these vectors were extracted from {_named(own)}, the model is {_named(model)}{ask}")


def _named(model: Identity) -> str:
    return f"{model.name} ({model.weights_sha256[:12]}, {model.n_layers} layers of {model.d_model})"
