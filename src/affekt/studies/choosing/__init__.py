"""Parts of the study of preferences: forced choices, their strengths, and steering of half of them."""

__all__ = ()
