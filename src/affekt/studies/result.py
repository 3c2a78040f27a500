"""What a study gives: tables, figures, and rows of the checklist, each judged by a rule stated beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from affekt.quality.figure import Figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Drawing

__all__ = ["Check", "Drawn", "Result", "Table", "Verdict", "by_sign", "by_size", "unjudged"]

Verdict: TypeAlias = Literal["reproduced", "partly", "not reproduced", "not measured"]


@dataclass(frozen=True)
class Table:
    """A tidy table: columns of one length."""

    name: str
    """Its file's name."""
    columns: Mapping[str, Sequence[Any]]
    """Column by column: texts, numbers, truth values, or None."""

    @classmethod
    def of(cls, name: str, rows: Sequence[Mapping[str, Any]]) -> Table:
        """From rows, all of which have the keys of the first."""
        heads = list(rows[0]) if rows else []
        return cls(name, {head: [row[head] for row in rows] for head in heads})


@dataclass(frozen=True)
class Drawn:
    """A figure with its caption."""

    name: str
    """Its file's name."""
    drawing: Drawing
    """The plotly figure."""
    caption: str
    """What it shows, and what it does not."""


@dataclass(frozen=True)
class Check:
    """A row of the checklist (paper, section 12 of our specification)."""

    what: str
    """The quantity."""
    paper: str
    """What the paper found on its model."""
    published: str
    """What replications on open models found."""
    here: str
    """What was found here: value, interval, n."""
    rule: str
    """The rule that judges it, stated before the run."""
    verdict: Verdict
    """What the rule says."""
    row: int = 0
    """Number of the paper's headline number that it answers; 0 for a finding that is not among them."""


@dataclass(frozen=True)
class Result:
    """One study on one model."""

    study: str
    """Its key."""
    title: str
    """What it asks."""
    headline: str
    """What it found, in a sentence; a null result says that it is one."""
    tables: tuple[Table, ...] = ()
    """Everything behind the figures."""
    drawn: tuple[Drawn, ...] = ()
    """The figures."""
    checks: tuple[Check, ...] = ()
    """Rows of the checklist."""
    notes: tuple[str, ...] = ()
    """Controls and limits."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Small facts, as JSON values."""
    seconds: float | None = None
    """How long it took, where it has just been run (from where it was stopped); it is not kept."""


def by_sign(
    what: str,
    paper: str,
    published: str,
    figure: Figure,
    sign: int = 1,
    least: float | int = 0.0,
    row: int = 0,
) -> Check:
    """Reproduced: at least `least` on the paper's side, with an interval off 0; partly: the interval alone;
    else not. Without `least` there is no partly."""
    value, near = sign * figure.value, sign * (figure.low if sign > 0 else figure.high)
    side = "above" if sign > 0 else "below"
    rule = f"95 % interval {side} 0"
    if least:
        rule += f" and at least {least:g} in size; partly: the interval alone"
    if value != value:
        return Check(what, paper, published, "not defined", rule, "not measured", row)
    clear = near > 0
    verdict: Verdict = (
        "reproduced" if clear and value >= least else "partly" if clear and least else "not reproduced"
    )
    return Check(what, paper, published, str(figure), rule, verdict, row)


def by_size(
    what: str, paper: str, published: str, figure: Figure, least: float, some: float, row: int = 0
) -> Check:
    """Reproduced: the interval's lower end is at least `some` and the value at least `least`; partly: the
    value is at least `some`; else not."""
    rule = f"at least {least:g}, with a lower end of at least {some:g}; partly: at least {some:g}"
    if figure.value != figure.value:
        return Check(what, paper, published, "not defined", rule, "not measured", row)
    low = figure.low if figure.low == figure.low else figure.value
    verdict: Verdict = (
        "reproduced"
        if figure.value >= least and low >= some
        else "partly"
        if figure.value >= some
        else "not reproduced"
    )
    return Check(what, paper, published, str(figure), rule, verdict, row)


def unjudged(what: str, paper: str, published: str, why: str, row: int = 0) -> Check:
    """A row that makes no sense for this model, or could not be measured."""
    return Check(what, paper, published, why, "–", "not measured", row)
