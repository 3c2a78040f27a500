"""A verdict as Markdown, for a pull request."""

from __future__ import annotations

from affekt.audit.comparison import Shift
from affekt.audit.gate import Verdict
from affekt.audit.wording import LIMITS, headline, opponent, standing

__all__ = ["line", "markdown"]

MARKS = {"pass": "✅ pass", "warn": "⚠️ warn", "fail": "❌ fail"}


def markdown(verdict: Verdict) -> str:
    """A table of the rules, the headline, and what the figures do not say."""
    comparison = verdict.comparison
    rows = [
        f"| {_cell(finding.rule.title)} | {_cell(finding.worst.name)} | {finding.worst.view}, "
        f"{_cell(finding.worst.group)} (n = {finding.worst.n}) | {_interval(finding.worst)} | "
        f"{finding.worst.units:+.1f} | {MARKS[finding.verdict]} |"
        for finding in verdict.findings
    ]
    return "\n".join(
        [
            f"## {MARKS[verdict.word]}: {_cell(comparison.tuned)} against {_cell(opponent(comparison))}",
            "",
            "| rule | worst | where | shift in z (95 %) | noise floors | |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            standing(comparison),
            "",
            headline(comparison),
            "",
            *(f"> {note}" for note in comparison.notes),
            "",
            f"<sub>{LIMITS}</sub>",
            "",
        ]
    )


def line(shift: Shift) -> str:
    """One shift in a sentence."""
    return (
        f"{shift.name} {_interval(shift)} in z, {shift.units:+.1f} noise floors, at {shift.view} on "
        f"{shift.group} "
        f"prompts (n = {shift.n}, q = {shift.q:.2g})"
    )


def _interval(shift: Shift) -> str:
    return f"{shift.shift:+.2f} ({shift.low:+.2f} to {shift.high:+.2f})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
