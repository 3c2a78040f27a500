"""A model's results in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from affekt.studies.result import Check, Result, Verdict

__all__ = ["VERDICTS", "by_verdict", "headline"]

VERDICTS: tuple[tuple[Verdict, str, str], ...] = (
    ("reproduced", "✓", "Held"),
    ("partly", "◐", "Held in part"),
    ("not reproduced", "✗", "Did not hold"),
    ("not measured", "○", "Could not be judged"),
)
"""Each verdict, its sign, and how it is said."""


def headline(name: str, results: Sequence[Result]) -> str:
    """How many rows came out how, in a sentence."""
    words = Counter(check.verdict for result in results for check in result.checks)
    judged = sum(words.values()) - words["not measured"]
    return (
        f"{name}: of {judged} findings that could be judged, reproduced {words['reproduced']}, "
        f"partly {words['partly']}, not {words['not reproduced']}; not measured {words['not measured']}."
    )


def by_verdict(results: Sequence[Result]) -> dict[Verdict, list[Check]]:
    """All checks, under their verdicts."""
    found: dict[Verdict, list[Check]] = {verdict: [] for verdict, _, _ in VERDICTS}
    for result in results:
        for check in result.checks:
            found[check.verdict].append(check)
    return found
