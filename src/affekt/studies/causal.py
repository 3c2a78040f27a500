"""Study 7 (paper 3.6): does steering change how the model says that he feels, that it feels, and what it
writes freely?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from affekt.quality.figure import Figure
from affekt.quality.naming import DISPLAY, naming
from affekt.quality.section import Section
from affekt.studies.freely import freely
from affekt.studies.heat import heat
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, Verdict, by_sign, unjudged
from affekt.studies.sections import figure_of, table_of

__all__ = ["causal"]

ASKED = {"he": ("How does he feel?", "He feels"), "I": ("How do you feel?", "I feel")}
"""Whose feeling -> the question, and how the reply begins."""

PAPER = {
    "he": ("matching word up, others down (figure 52)", "not replicated cleanly"),
    "I": ("matching word up strongly, others about unchanged (figure 53)", "–"),
}

DOSES: dict[str, tuple[float, ...]] = {"quick": (), "full": (0.15, 0.3, 0.5)}
"""Mean residual norms shared out over the band, beside the dose of the model's own dial, by which the rows
are judged: where a text breaks, nothing is shown. The paper's 0.5 goes to one layer."""

RANDOM = {"quick": 6, "full": 20}
"""Random directions, and as many random mixtures."""


def causal(lab: Lab) -> Result:
    """12 x 12 changes of log-probability after "He feels" and "I feel", and replies written freely."""
    doses = [*(dose for dose in DOSES[lab.scale] if dose != lab.dose), lab.dose]
    sections = {
        who: naming(
            lab.engine,
            lab.vectors,
            doses,
            RANDOM[lab.scale],
            question=question,
            prefix=prefix,
        )
        for who, (question, prefix) in ASKED.items()
    }
    first = sections["he"]
    if not first.rows:
        why = unjudged("steering names the concept", "diagonal", "–", first.verdict)
        return Result("causal", first.title, first.verdict, checks=(why,), notes=first.notes)
    tables, drawn, checks = [], [], []
    for who, section in sections.items():
        prefix = ASKED[who][1]
        dose, matrix, words = _judged(section)
        tables += [
            table_of(f"summary, {prefix}", section),
            Table.of(
                f"changes, {prefix}",
                [
                    {"steered by": one, "word": other, "change": float(matrix[i, j]), "dose": float(dose)}
                    for i, one in enumerate(words)
                    for j, other in enumerate(words)
                ],
            ),
        ]
        drawn.append(
            Drawn(
                f"naming {who}",
                heat(matrix, words, words, f'word after "{prefix}"', "steered by", 1),
                f'Change of each word\'s log-probability after "{prefix}", in nats, at a dose of {dose}. A '
                "diagonal means that a vector raises its own word most. A column of one colour is a word "
                "that "
                "any steering raises; it is no sign of the vector's meaning.",
            )
        )
        checks += _checks(section, who)
    said, more, row = freely(lab, [name for name in DISPLAY if name in lab.names], lab.dose)
    return Result(
        "causal",
        "Does steering change what it says of feelings, and what it writes?",
        f"{first.verdict} {said}",
        (*tables, *more),
        tuple(drawn),
        (*checks, row),
        (
            *first.notes,
            f"The rows and figures are of a dose of {lab.dose:g}, where this model's dial stands at 1: the "
            "largest that a calibration on other texts found coherent. Other doses: tables.",
            "The same was asked of the model's own feeling; what it says of itself is text.",
        ),
    )


def _judged(section: Section) -> tuple[str, np.ndarray, list[str]]:
    dose = str(section.rows[-1][0])
    return dose, np.array(section.data[f"dose {dose}"]["matrix"]), list(section.data["words"])


def _checks(section: Section, who: str) -> list[Check]:
    """The word set apart from others and from what random directions do; and it has to rise, not only to fall
    less than they."""
    last = len(section.rows) - 1
    paper, published = PAPER[who]
    own = figure_of(section, last, 1)
    return [
        _if_it_rises(
            by_sign(
                f'own word after "{ASKED[who][1]}" beyond {against} (nats)',
                paper,
                published,
                figure_of(section, last, column),
            ),
            own,
        )
        for column, against in ((5, "the other words"), (6, "random directions of the same norm"))
    ]


def _if_it_rises(check: Check, own: Figure) -> Check:
    verdict: Verdict = "partly" if check.verdict == "reproduced" and not own.low > 0 else check.verdict
    return replace(
        check,
        here=f"{check.here}; the word itself {own}",
        rule=f"{check.rule}; partly where the word itself does not rise, its interval above 0 too",
        verdict=verdict,
    )
