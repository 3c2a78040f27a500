"""The parts of a reading that a person compares: what the user wrote, what the assistant replied."""

from __future__ import annotations

from dataclasses import dataclass

from affekt.reading.reading import Reading
from affekt.reading.roles import CONTENT, PROMPT_END
from affekt.reading.summary import Summary

__all__ = ["Part", "parts"]


@dataclass(frozen=True)
class Part:
    """All tokens of one role."""

    role: str
    """A role of `roles.CONTENT`, or `prompt end`."""
    reading: Reading
    """Those tokens; the very first of a text is left out, as in `Reading.content`."""
    mean: Summary
    """Mean z over them."""
    peak: Summary
    """Highest z among them; indices are of this part's reading."""


def parts(reading: Reading) -> list[Part]:
    """Every part that has a token, in the order of the roles; the prompt's end last."""
    content = reading.content()
    chosen = {role: content.where(role) for role in CONTENT} | {PROMPT_END: reading.where(PROMPT_END)}
    return [Part(role, part, part.mean(), part.peak()) for role, part in chosen.items() if len(part)]
