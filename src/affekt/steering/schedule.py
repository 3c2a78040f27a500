"""On which tokens of one row a term acts, and how strongly: positions made absolute, ramps resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace

from affekt.errors import BiasError
from affekt.models.prompt import Encoded, Role
from affekt.steering.term import Ramp, Term, Where

__all__ = ["Schedule", "reply_role", "schedule"]


@dataclass(frozen=True)
class Schedule:
    """Strength by a token's absolute position in its own row: prompt 0 to P-1, reply from P on."""

    ranks: tuple[int, ...]
    """Per prompt token, its number among the tokens reached; -1 where it is not reached."""
    reached: int
    """How many prompt tokens are reached; the reply's are counted on from here."""
    begin: int | None
    """First position of the reply that is reached; none: no token of it, or not known yet."""
    end: int | None = None
    """First position of the reply that is not reached any more; none: it has no end."""
    marker: str | None = None
    """A marker that the prompt has not: the reply is reached from the token after it, once it is written."""
    ramp: Ramp | None = None
    """How the strength goes with the number of a token; none: 1 throughout."""

    def strength(self, position: int) -> float:
        """Strength at an absolute position, 0 to 1; 0 for padding, which is -1."""
        if position < 0:
            return 0.0
        if position < len(self.ranks):
            rank = self.ranks[position]
        elif self.begin is None or position < self.begin or (self.end is not None and position >= self.end):
            return 0.0
        else:
            rank = self.reached + position - self.begin
        if rank < 0:
            return 0.0
        return 1.0 if self.ramp is None else self.ramp.at(rank)

    def heard(self, reply: str, position: int) -> Schedule:
        """Itself; or, if the marker it waits for is in the reply so far, the schedule from `position` on."""
        if self.marker is None or self.marker not in reply:
            return self
        return replace(self, begin=position, marker=None)


def schedule(term: Term, prompt: Encoded) -> Schedule:
    """Resolves a term's `where` and `ramp` for one prompt.

    A term that holds a reading leaves the row's first token alone unless its place names tokens: that token
    is an attention sink, whose residual, up to a hundred times the usual norm, is no reading.

    Raises:
        BiasError: for a place that holds no token of this prompt.
    """
    where, length = term.where, len(prompt)
    tokens = _prompt_tokens(where, prompt)
    reply = _reaches_reply(where, prompt)
    if not tokens and not reply and where.place in ("role", "span"):
        raise BiasError(f"emotion_bias.{term.concept}.where: {_nothing(where, prompt)}")
    if term.constrains and where.place in ("both", "prompt"):
        tokens = [token for token in tokens if token > 0]
    ranks = [-1] * length
    for rank, token in enumerate(tokens):
        ranks[token] = rank
    waits = where.place == "after" and _marker(where) not in prompt.text
    first = where.value if where.place == "first" and where.of == "reply" else None
    return Schedule(
        ranks=tuple(ranks),
        reached=len(tokens),
        begin=length if reply and not waits else None,
        end=length + first if isinstance(first, int) else None,
        marker=_marker(where) if waits else None,
        ramp=term.ramp,
    )


def reply_role(prompt: Encoded) -> Role:
    """Whose words a reply counts as: the assistant's after a chat, plain text where a plain text goes on."""
    return "text" if "text" in prompt.roles else "assistant"


def _reaches_reply(where: Where, prompt: Encoded) -> bool:
    return where.value == reply_role(prompt) if where.place == "role" else where.side != "prompt"


def _prompt_tokens(where: Where, prompt: Encoded) -> list[int]:
    """Indices of the prompt's tokens that a place reaches, ascending."""
    indices = range(len(prompt))
    match where.place, where.value:
        case (("both" | "prompt"), _):
            return list(indices)
        case "role", role:
            return [i for i in indices if prompt.roles[i] == role]
        case "span", (int(start), int(end)):
            return [i for i, (a, b) in enumerate(prompt.spans) if max(a, start) < min(b, end)]
        case "first", int(n) if where.of == "prompt":
            return list(indices[:n])
        case "last", int(n):
            return list(indices[-n:])
        case "after", str(marker) if marker in prompt.text:
            start = prompt.text.index(marker) + len(marker)
            wholly = (i for i, (a, b) in enumerate(prompt.spans) if start <= a < b)
            return list(indices[next(wholly, len(prompt)) :])
        case _:
            return []


def _marker(where: Where) -> str:
    return str(where.value)


def _nothing(where: Where, prompt: Encoded) -> str:
    if where.place == "role":
        present = ", ".join(sorted(set(prompt.roles)))
        return f"the prompt has no token of role {where.value!r}; it has {present}"
    return (
        f"no token of the prompt lies in the span {where.value}; its text has {len(prompt.text)} characters"
    )
