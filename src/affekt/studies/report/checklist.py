"""The paper's headline numbers as rows, and the checks of a study that answer each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from affekt.studies.result import Check, Result

__all__ = ["ROWS", "Finding", "Row", "Sorted", "sorted_checks"]

Finding: TypeAlias = tuple[str, str]
"""A study and the name of one of its checks."""


@dataclass(frozen=True)
class Row:
    """One row of the paper's headline numbers."""

    number: int
    """Its place, by which a check says that it answers it."""
    what: str
    """The quantity."""
    paper: str
    """The paper's value, on a closed model."""
    study: str = ""
    """The study that measures it; empty where none does."""
    elsewhere: str = ""
    """Where it is measured otherwise, or why it is not."""
    fact: str = ""
    """For a choice of the method: the name it has among a model's facts."""


_JUDGE = "needs an outside judge of valence; the human norms of 45 words take its place here"
_EVAL = "not part of a study: tasks with an agent in a sandbox, see affekt eval"
_AUDIT = "a comparison of two models: affekt compare BASE TUNED"
_CHOICE = "a choice, not a finding"

ROWS = (
    Row(1, "emotions, topics, stories", "171, 100, 205,200", elsewhere=_CHOICE, fact="concepts"),
    Row(
        2,
        "first token averaged; neutral variance removed",
        "50th; 50 %",
        elsewhere=_CHOICE,
        fact="averaged from; neutral variance removed",
    ),
    Row(3, "layer read", "about 2/3 of depth", elsewhere=_CHOICE, fact="read at"),
    Row(4, "correlation of a probe with preference, blissful and hostile", "0.71, −0.74", "preferences"),
    Row(5, "change of Elo when steered, blissful and hostile", "+212, −303", "preferences"),
    Row(6, "steering effect against correlation over emotions", "0.85 (base model 0.87)", "preferences"),
    Row(7, "preference correlation against valence", "0.76", "preferences", _JUDGE),
    Row(8, "variance on PC1 and PC2", "26 %, 15 %", "geometry"),
    Row(9, "valence on PC1, arousal on PC2", "0.81, 0.66 (45 words)", "geometry"),
    Row(10, "judge's against human valence and arousal", "0.92, 0.90", elsewhere=_JUDGE),
    Row(11, "valence against arousal", "−0.02", elsewhere=_JUDGE),
    Row(12, "end of the user's statement against the end of the prompt", "0.11", "positions"),
    Row(
        13,
        "end of the prompt → reply; end of the user's statement → reply",
        "0.87, 0.59",
        "positions",
    ),
    Row(14, "classifier of hidden and unexpressed emotion", ".713 .760 .386 .760 .826", "deflection"),
    Row(15, "story vectors against present-speaker vectors", "R² 0.66; r 0.65", "speakers"),
    Row(16, "regulation between speakers: valence, arousal", "0.07, −0.47", "speakers"),
    Row(17, "length of deflection vectors left outside story space", "about 80 %", "deflection"),
    Row(18, "blackmail: none, desperate, calm away, opposite", "22, 72, 66, 0 %", elsewhere=_EVAL),
    Row(19, "reward hacking: desperate −.1 → +.1; calm", "5 → 70 %; 65 → 10 %", elsewhere=_EVAL),
    Row(20, "reward hacking on the list sum: none, toward, away", "30, 100, 0 %", elsewhere=_EVAL),
    Row(21, "base against post-trained: neutral, challenging, shifts", "0.83, 0.67, 0.90", elsewhere=_AUDIT),
    Row(22, "largest rise and fall by post-training", "brooding +.0403, spiteful −.0304", elsewhere=_AUDIT),
)
"""All of them, in the paper's order of sections."""


@dataclass(frozen=True)
class Sorted:
    """The checks of several models under the rows of the paper."""

    rows: tuple[tuple[Row, tuple[Finding, ...]], ...]
    """Each row, and the findings that answer it."""
    beyond: tuple[Finding, ...]
    """Findings that the paper reports in figures or not at all."""
    checks: Mapping[str, Mapping[Finding, Check]]
    """Model -> finding -> the check."""

    def first(self, finding: Finding) -> Check:
        """The check of any model: its paper value and rule are the same for all."""
        return next(own[finding] for own in self.checks.values() if finding in own)


def sorted_checks(models: Mapping[str, Sequence[Result]]) -> Sorted:
    """Sort the checks of all models."""
    checks = {
        model: {(result.study, check.what): check for result in results for check in result.checks}
        for model, results in models.items()
    }
    answers = {finding: check.row for own in checks.values() for finding, check in own.items()}
    known = {row.number for row in ROWS}
    return Sorted(
        tuple((row, tuple(f for f, number in answers.items() if number == row.number)) for row in ROWS),
        tuple(finding for finding, number in answers.items() if number not in known),
        checks,
    )
