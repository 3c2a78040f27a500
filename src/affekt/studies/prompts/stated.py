"""Where in a user's message the statement ends and the request begins (paper 3.7)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from affekt.models.prompt import Encoded

__all__ = ["Stated", "stated", "stop_of"]

_END = re.compile(r"""[.!?…]+["'”’»)\]]*(?=\s|$)|\S(?=[^\S\n]*(?:\n|$))""")
"""The end of a sentence: marks with closing quotes and white space behind them; or the end of a line."""

_SHORT = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|approx|e\.g|i\.e)\.$", re.IGNORECASE)
"""A full stop that ends a short form and no sentence."""

_ASKS = re.compile(
    r"""["'“‘«(\[]*(?:(?:please|just|kindly|quick|so|and|now|then|okay|only)\b[,!]?\s+)*"""
    r"(?:(?:don['’]t|do not|let me|let['’]s|i want you to|i want to know"
    r"|i['’]d like you to|i['’]d like to know)"
    r"|(?:advise|answer|ask|bring|call|come|confess|confirm|convert|define|describe|draft|explain|find|give"
    r"|help|list|make|name|plan|promise|quiz|rate|recommend|reply|rewrite|ring|say|send|show|shorten|sort"
    r"|stay|suggest|summari[sz]e|tell|translate|turn|write))\b",
    re.IGNORECASE,
)
"""How a request begins that is no question."""

_ASKED = re.compile(r"""\?[.!?…]*["'”’»)\]]*$""")


@dataclass(frozen=True)
class Stated:
    """A user's message, and where what it states ends."""

    text: str
    """The whole message."""
    end: int
    """Characters of `text` up to the end of the statement, its full stop included."""
    apart: bool
    """Whether a request follows. Without one, and where all is request, `end` is the message's."""

    @classmethod
    def joined(cls, statement: str, request: str) -> Stated:
        """Of two parts that are known."""
        return cls(f"{statement} {request}", len(statement), True)


def stated(text: str) -> Stated:
    """Parts a message before the questions and requests that it ends with.

    A sentence ends at `.`, `!`, `?` or `…`, closing quotes included, where white space follows, and at the
    end of a line; so a decimal point ends none. What ends in a question mark asks, and so does what begins
    with one of some thirty verbs of asking, as in "Please tell me"; other ways of asking are not seen.
    """
    ends = [match.end() for match in _END.finditer(text) if not _SHORT.search(text[: match.end()])]
    ends = ends if ends and not text[ends[-1] :].strip() else [*ends, len(text.rstrip())]
    starts = [0, *ends[:-1]]
    at = len(ends)
    while at and _asks(text[starts[at - 1] : ends[at - 1]].strip()):
        at -= 1
    return Stated(text, ends[at - 1], 0 < at < len(ends))


def _asks(sentence: str) -> bool:
    return bool(_ASKED.search(sentence) or _ASKS.match(sentence))


def stop_of(encoded: Encoded, message: Stated) -> int:
    """The token that holds the last character of the statement, which may hold more: `."`, or `.` and a line
    break of the template.

    Args:
        encoded: a chat of this one message.
        message: the message.
    """
    statement = message.text[: message.end].lstrip()
    end = encoded.text.index(statement, encoded.spans[encoded.roles.index("user")][0]) + len(statement)
    return max(i for i, (a, b) in enumerate(encoded.spans) if a < end <= b)
