"""Concept vectors: extracting, keeping and reading them out."""

from affekt.vectors.checkpoint import Checkpoint
from affekt.vectors.conceptvectors import ConceptVectors, Provenance, load_vectors, save_vectors
from affekt.vectors.extraction import extract
from affekt.vectors.readout import ReadOut
from affekt.vectors.recipe import Recipe

__all__ = [
    "Checkpoint",
    "ConceptVectors",
    "Provenance",
    "ReadOut",
    "Recipe",
    "extract",
    "load_vectors",
    "save_vectors",
]
