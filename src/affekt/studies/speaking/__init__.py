"""Parts of the studies of dialogues: vectors of turns and scenes, whose emotion they are, what is hidden."""

__all__ = ()
