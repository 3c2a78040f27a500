"""Parts of the study of layers: readings at every layer and token of texts that differ in one thing."""

__all__ = ()
