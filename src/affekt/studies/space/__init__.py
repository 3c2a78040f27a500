"""Parts of the study of geometry: how vectors lie to each other, and how far others would agree."""

__all__ = ()
