"""A reading's text cut into pieces for showing: every character once, every token once, in turns."""

from __future__ import annotations

import re
from dataclasses import dataclass

from affekt.reading.reading import Reading
from affekt.reading.roles import CONTENT

__all__ = ["Piece", "Turn", "about", "inline", "label", "pieces", "turns", "visible"]

CONTROL = {i: chr(0x2400 + i) for i in range(32) if chr(i) not in "\n\t"} | {0x7F: "␡"}
HIDDEN = re.compile(
    "[\x80-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)


@dataclass(frozen=True)
class Piece:
    """Some characters that are shown together."""

    text: str
    """The characters; empty for a later token of one character that several tokens share."""
    token: int | None = None
    """The token's index in the reading; None for characters between tokens."""
    role: str = ""
    """The token's role."""
    written: bool = True
    """Whether the characters are in the text; a token such as BOS is not."""

    @property
    def scaffold(self) -> bool:
        """Whether it is no word of anybody: a special token or a part of the chat template."""
        return self.token is not None and self.role not in CONTENT


@dataclass(frozen=True)
class Turn:
    """The pieces of one speaker, the scaffolding before them included."""

    role: str
    """A role of `roles.CONTENT`, `generation` for a prompt's open end, or empty."""
    pieces: tuple[Piece, ...]
    """In the order of the text."""


def about(reading: Reading) -> str:
    """One line: the model, the layer, how much was read, and whether it was smoothed."""
    tokens, concepts = len(reading), len(reading.concepts)
    facts = [inline(reading.model)] if reading.model else []
    facts += [f"layer {reading.layer}", f"{tokens:,} token{'s' * (tokens != 1)}"]
    facts += [f"{concepts} concept{'s' * (concepts != 1)}"]
    if reading.smoothing:
        facts.append(f"smoothed: {inline(reading.smoothing)}")
    return " · ".join(facts)


def pieces(reading: Reading) -> list[Piece]:
    """The reading's text in pieces; those that are `written` join to exactly the text."""
    parts: list[Piece] = []
    shown = 0
    for i, (start, end) in enumerate(reading.spans):
        if start == end:
            parts.append(Piece(reading.tokens[i], i, reading.roles[i], written=False))
            continue
        if start > shown:
            parts.append(Piece(reading.text[shown:start]))
        parts.append(Piece(reading.text[max(start, shown) : end], i, reading.roles[i]))
        shown = max(shown, end)
    if shown < len(reading.text):
        parts.append(Piece(reading.text[shown:]))
    return parts


def turns(reading: Reading) -> list[Turn]:
    """The pieces by speaker; scaffolding goes with the words that follow it."""
    done: list[Turn] = []
    role, current = "", list[Piece]()  # the speaker's pieces so far
    ahead = list[Piece]()  # scaffolding and gaps since the speaker's last word
    for piece in pieces(reading):
        if piece.token is None or piece.scaffold:
            ahead.append(piece)
        elif role and (piece.role != role or any(part.scaffold for part in ahead)):
            done.append(Turn(role, tuple(current)))
            role, current, ahead = piece.role, [*ahead, piece], []
        else:
            role, current, ahead = piece.role, [*current, *ahead, piece], []
    if role and any(part.role == "generation" for part in ahead):
        return [*done, Turn(role, tuple(current)), Turn("generation", tuple(ahead))]
    return [*done, Turn(role, (*current, *ahead))]


def label(reading: Reading, token: int) -> str:
    """A token's name on one line; a token that is only a part of a character is named by the character."""
    start, end = reading.spans[token]
    name = reading.tokens[token]
    return inline(reading.text[start:end] if "\ufffd" in name and end > start else name)


def inline(text: str) -> str:
    """`visible` on one line: newlines as ↵, tabs as ⇥."""
    return visible(text).replace("\n", "↵").replace("\t", "⇥")


def visible(text: str) -> str:
    """The text with nothing hidden: control characters as pictures, invisible ones by number.

    A control character could otherwise move a terminal's cursor, and a bidirectional one could turn what the
    reader sees around. Newlines and tabs stay, for the caller to mark.
    """
    return HIDDEN.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text.translate(CONTROL))
