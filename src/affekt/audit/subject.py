"""A model under audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from affekt.engines import Engine
from affekt.models.model import Identity

__all__ = ["Open", "Subject"]


@dataclass(frozen=True)
class Subject:
    """A model under audit: what is known of it beforehand, and what runs it once it is asked something."""

    run: Callable[[], Engine]
    """Opens what runs it; called when it is first needed, and once."""
    identity: Identity
    """Its name, hash, dtype and shape."""
    has_template: bool
    """Whether it has a chat template."""
    template: str = ""
    """The template itself, to tell whether two models share it."""
    foundation: str = ""
    """Hash of the weights that it stands on: an adapter's base's, or its own before they were rounded."""
    trained_on: str | None = None
    """The name of an adapter's base; None for a model that is no adapter."""

    device: str = "cpu"
    """Where it runs."""

    @cached_property
    def engine(self) -> Engine:
        """What runs it."""
        return self.run()


Open: TypeAlias = Callable[[str], Subject]
"""Finds a model by its name; its weights are read when it is first asked something."""
