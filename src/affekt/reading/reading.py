"""A reading: what a model's residual stream says about each concept at each token of a text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.errors import ReadingError, UnknownConcept, closest
from affekt.reading.roles import CONTENT, PROMPT_END, check_roles
from affekt.reading.summary import FEWEST, Summary, margin_of_mean, strongest

__all__ = ["Reading"]

FORMAT = "affekt.reading/1"
DIGITS = 5
"""Significant digits of the numbers in a file."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Tokens x concepts of one text, at one layer.

    A selection (`where`, `span`, `take`, `select`) is a Reading again, of the same text.
    """

    text: str
    """The whole text, or the chat as its template renders it."""
    tokens: tuple[str, ...]
    """Each token as written; a special one by its name."""
    spans: tuple[tuple[int, int], ...]
    """Per token, its characters in `text`, end excluded; empty for one that stands for no character."""
    roles: tuple[str, ...]
    """Per token, whose words it is: one of `roles.ROLES`."""
    concepts: tuple[str, ...]
    """The names of the columns."""
    z: Float[np.ndarray, "tokens concepts"]
    """Standard deviations above the neutral reference: the number to compare and to show."""
    cosine: Float[np.ndarray, "tokens concepts"]
    """Cosine of the residual with each concept's direction."""
    projection: Float[np.ndarray, "tokens concepts"]
    """Length of the residual along each unit direction, in the residual's own units."""
    layer: int
    """The residual after this block, counted from 0."""
    model: str = ""
    """The model's name."""
    smoothing: str = ""
    """How the numbers were smoothed over tokens; empty when they were not."""

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.tokens)

    def of(self, name: str) -> Float[np.ndarray, " tokens"]:
        """The z of one concept at each token; raises UnknownConcept."""
        return self.z[:, self._column(name)]

    def select(self, names: Sequence[str]) -> Reading:
        """The same tokens with these concepts only, in this order; raises UnknownConcept."""
        columns = [self._column(name) for name in names]
        return replace(
            self,
            concepts=tuple(names),
            z=self.z[:, columns],
            cosine=self.cosine[:, columns],
            projection=self.projection[:, columns],
        )

    def take(self, rows: Sequence[int]) -> Reading:
        """Only the tokens of these indices."""
        rows = list(rows)
        return replace(
            self,
            tokens=tuple(self.tokens[i] for i in rows),
            spans=tuple(self.spans[i] for i in rows),
            roles=tuple(self.roles[i] for i in rows),
            z=self.z[rows],
            cosine=self.cosine[rows],
            projection=self.projection[rows],
        )

    def where(self, *roles: str) -> Reading:
        """Only the tokens of these roles (or at the `prompt end`); may be empty. Raises ReadingError."""
        return self.take(self._rows(roles))

    def content(self) -> Reading:
        """Only words that somebody wrote: no special tokens, no scaffolding of a chat.

        The very first token of a text is left out too. Models gather a huge residual there, whatever it says,
        and one such token would drown the mean of a short text.
        """
        return self.take(self.content_rows())

    def content_rows(self) -> list[int]:
        """The indices of the tokens of `content`."""
        return [i for i in self._rows(CONTENT) if i > 0 or not self.opens_text]

    def span(self, start: int, end: int) -> Reading:
        """Only the tokens that share a character with `text[start:end]`; raises ReadingError off the text."""
        if not 0 <= start < end <= len(self.text):
            raise ReadingError(f"characters {start} to {end} are not a part of a text of {len(self.text):,}")
        return self.take([i for i, (a, b) in enumerate(self.spans) if a < end and b > start and b > a])

    @property
    def opens_text(self) -> bool:
        """Whether the first token here is the first of the text, whose residual is huge whatever it says."""
        return len(self) > 0 and self.spans[0][0] == 0

    @property
    def prompt_end(self) -> int | None:
        """The index of the last token of the generation prompt; None where there is none."""
        return max((i for i, role in enumerate(self.roles) if role == "generation"), default=None)

    def mean(self, *roles: str) -> Summary:
        """The mean z of each concept over all tokens, or over those of some roles.

        Raises:
            ReadingError: for an unknown role, or no token to average.
        """
        rows = self._some(roles)
        z = self.z[rows].astype(np.float64)
        margin = margin_of_mean(z) if len(rows) >= FEWEST else None
        return Summary(self.concepts, z.mean(axis=0), len(rows), margin)

    def peak(self, *roles: str) -> Summary:
        """The highest z of each concept and its token, over all tokens or over those of some roles.

        Raises:
            ReadingError: for an unknown role, or no token at all.
        """
        rows = self._some(roles)
        at = self.z[rows].argmax(axis=0)
        highest = self.z[rows].max(axis=0)
        return Summary(self.concepts, highest, len(rows), tokens=tuple(rows[i] for i in at))

    def top(self, k: int = 5, *, token: int | None = None) -> list[tuple[str, float]]:
        """The `k` concepts of the highest z at one token, or of the highest mean over the content."""
        if token is not None:
            return strongest(self.concepts, self.z[token], k)
        content = self.content_rows()
        return (self.take(content) if content else self).mean().top(k)

    def to_dict(self) -> dict[str, Any]:
        """The reading in JSON's types; numbers keep five significant digits, none is NaN."""
        record: dict[str, Any] = {"format": FORMAT}
        for field in fields(self):
            value = getattr(self, field.name)
            record[field.name] = _compact(value) if isinstance(value, np.ndarray) else value
        record |= {name: list(record[name]) for name in ("tokens", "roles", "concepts")}
        record["spans"] = [list(span) for span in self.spans]
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Reading:
        """The reading of `to_dict`; raises ReadingError naming what is missing, unknown or wrong."""
        if record.get("format") != FORMAT:
            raise ReadingError(f"not a reading: its format is {record.get('format')!r}, expected {FORMAT!r}")
        values = {name: value for name, value in record.items() if name != "format"}
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise ReadingError(f"a reading has no {name!r}{closest(name, known)}")
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        missing = [name for name in needed if name not in values]
        if missing:
            raise ReadingError(f"a reading without {', '.join(missing)}")
        try:
            shape = (len(values["tokens"]), len(values["concepts"]))
            for name in ("tokens", "roles", "concepts"):
                values[name] = tuple(values[name])
            values["spans"] = tuple((int(a), int(b)) for a, b in values["spans"])
            for name in ("z", "cosine", "projection"):
                array = np.array(values[name], dtype=np.float32)
                values[name] = array.reshape(shape) if array.size == 0 else array
        except (TypeError, ValueError) as error:
            raise ReadingError(f"not a reading: {error}") from error
        return cls(**values)

    def to_json(self) -> str:
        """`to_dict` as one line of JSON, in ASCII."""
        return json.dumps(self.to_dict(), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Reading:
        """The reading of `to_json`; raises ReadingError."""
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ReadingError(f"not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ReadingError(f"not a reading: JSON of type {type(record).__name__}, expected an object")
        return cls.from_dict(record)

    def _repr_html_(self) -> str:
        from affekt.reading.fragment import fragment  # the fragment is drawn from readings

        return fragment(self)

    def _column(self, name: str) -> int:
        if name not in self.concepts:
            raise UnknownConcept(name, self.concepts)
        return self.concepts.index(name)

    def _rows(self, roles: Iterable[str]) -> list[int]:
        wanted = set(roles)
        check_roles(wanted)
        end = self.prompt_end if PROMPT_END in wanted else None
        return [i for i, role in enumerate(self.roles) if role in wanted or i == end]

    def _some(self, roles: tuple[str, ...]) -> list[int]:
        rows = self._rows(roles) if roles else list(range(len(self)))
        if not rows:
            here = ", ".join(f"{role} {n}" for role, n in Counter(self.roles).items()) or "none"
            raise ReadingError(f"no token of {' or '.join(roles) or 'any role'}; the tokens here: {here}")
        return rows


def _check(reading: Reading) -> None:
    tokens, concepts = len(reading.tokens), len(reading.concepts)
    for name in ("spans", "roles"):
        if len(getattr(reading, name)) != tokens:
            raise ReadingError(f"{tokens} tokens, but {len(getattr(reading, name))} {name}")
    twice = [name for name, n in Counter(reading.concepts).items() if n > 1]
    if twice:
        raise ReadingError(f"concept {twice[0]!r} stands twice among the columns")
    check_roles(set(reading.roles) - {PROMPT_END})
    if PROMPT_END in reading.roles:
        raise ReadingError(f"{PROMPT_END!r} is a place, not a role; its token has the role 'generation'")
    for i, (start, end) in enumerate(reading.spans):
        if not 0 <= start <= end <= len(reading.text):
            raise ReadingError(
                f"token {i} has the span ({start}, {end}) in a text of {len(reading.text)} characters"
            )
    for name in ("z", "cosine", "projection"):
        values = getattr(reading, name)
        if values.shape != (tokens, concepts):
            raise ReadingError(
                f"{name} has the shape {values.shape}, expected ({tokens} tokens, {concepts} concepts)"
            )
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            token, column = (int(i) for i in wrong[0])
            raise ReadingError(
                f"{name} is {values[token, column]} at token {token} ({reading.tokens[token]!r}), "
                f"concept {reading.concepts[column]!r}"
            )


def _compact(values: Float[np.ndarray, "tokens concepts"]) -> list[list[float]]:
    """Rounded to `DIGITS` significant digits, so that the shortest decimal says all there is."""
    exact = values.astype(np.float64)
    size = np.abs(exact)
    exponent = np.floor(np.log10(np.where(size < 1e-12, 1.0, size)))
    shift = 10.0 ** np.abs(DIGITS - 1 - exponent)
    small = exponent < DIGITS - 1  # multiplying and dividing by whole powers of ten only: both are exact
    rounded = np.where(small, np.round(exact * shift) / shift, np.round(exact / shift) * shift)
    lists: list[list[float]] = (np.where(size < 1e-12, 0.0, rounded) + 0.0).tolist()
    return lists
