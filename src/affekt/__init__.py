"""Read, set and audit the emotion concepts inside open-weight language models."""

from affekt.version import __version__

__all__ = ["__version__"]
