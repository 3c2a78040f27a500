"""Random vectors of a model's shape, for times where the model has none of its own: they cost the same."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from affekt.concepts import emotions, styles
from affekt.models import Model
from affekt.vectors import ConceptVectors, Provenance
from affekt.vectors.readout import POSITIONS


def random_vectors(model: Model) -> ConceptVectors:
    """Unit directions [layers, concepts, d_model] over the band that an extraction looks at, from a third of
    depth to a little past two thirds; the eight layers around two thirds steer. No reading of them means
    anything."""
    depth, concepts = model.identity.n_layers, (*emotions(), *styles())
    layers = tuple(range(depth // 3, int(0.7 * depth) + 1))
    generator = torch.Generator().manual_seed(0)
    unit = normalize(
        torch.randn(len(layers), len(concepts), model.identity.d_model, generator=generator), dim=-1
    )
    scores = (len(layers), len(POSITIONS), len(concepts))
    return ConceptVectors(
        concepts=concepts,
        layers=layers,
        raw=unit,
        projected=unit,
        whitened=unit,
        weight=unit,
        mean=torch.zeros(scores),
        std=torch.ones(scores),
        norms=torch.full((len(layers),), 10.0),
        doses=torch.full((len(concepts),), torch.nan),
        read_layer=layers[-1],
        steer_layers=layers[-8:],
        steer_variant="projected",
        provenance=Provenance(model.identity, {}, {}),
    )
