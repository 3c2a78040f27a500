"""What a reply being written needs of the engine that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from affekt.engines.engine import Opened
from affekt.vectors.conceptvectors import ConceptVectors

if TYPE_CHECKING:
    from affekt.engines.transformers.probe import Probe

__all__ = ["Desk"]


@runtime_checkable
class Desk(Protocol):
    """An engine's inside, as far as rows and requests know it."""

    @property
    def model(self) -> Opened:
        """The model."""

    @property
    def vectors(self) -> ConceptVectors | None:
        """Its concept vectors."""

    @property
    def kind(self) -> str:
        """What its cache is called."""

    @property
    def joins(self) -> bool:
        """Whether rows may join a running batch, and go back in it."""

    @property
    def linear(self) -> bool:
        """Whether a row that may go back must keep what its layers' states were."""

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end a reply."""

    @property
    def specials(self) -> frozenset[int]:
        """The tokens that are no text."""

    def required(self, what: str) -> ConceptVectors:
        """The vectors; VectorsError where there are none."""

    def probe(self, layer: int | None = None) -> Probe:
        """The read-out of all concepts at a layer; VectorsError."""
