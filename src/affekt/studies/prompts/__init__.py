"""Parts of the study of positions: the places of a prompt, and what foretells the reply."""

__all__ = ()
