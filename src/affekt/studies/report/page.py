"""The page: findings in plain words, the checklist, every study, controls, limits, provenance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

from affekt.reading.sheet import drawn, sheet
from affekt.studies.report.background import NO_TEMPLATE, TURNS, Background
from affekt.studies.report.checklist import Finding, Row, Sorted, sorted_checks
from affekt.studies.report.plainly import VERDICTS, by_verdict, headline
from affekt.studies.report.sources import sources
from affekt.studies.report.tables import preview
from affekt.studies.result import Check, Result, Verdict

__all__ = ["Subject", "report"]

NOTICE = (
    "A model does not feel. What is read and steered here are linear directions in the residual stream, "
    "functional and local. Each finding was judged by the rule that stands under it, written into "
    "the program "
    "before the run. On small models many of the paper's findings do not show; such rows are "
    "results like the "
    "others."
)

BASE = (
    "It has no chat template: a base model, which was not trained to answer anyone. Its chats are written as "
    "lines that begin with Human and Assistant, and what it says as the assistant goes on with such a text. "
    "So what is asked of an assistant (what it would rather do, how it replies to a provocation, whether the "
    "end of the prompt foretells the reply) has its answer here in what a text of that kind is likely to "
    "say; findings of these studies are about that, and stand beside a tuned model's for comparison."
)

CONTROLS = (
    "Causal effects stand beside random directions of the same norm, so that what any push does is "
    "not counted.",
    "Read-outs stand beside a baseline on the words of the text alone, fitted on the same texts.",
    "Numbers that matter stand beside the same numbers where they mean nothing.",
    "Broken replies are a class of their own, and the cost of strength in coherence is measured.",
    "Readings are z-scores against texts that favour no emotion, never absolute cosines.",
    "Intervals are of 95 %, over what n counts; correlations over emotions are not independent of "
    "each other.",
)

LIMITS = (
    "Linear directions only: blends, binding to a character and what attention recalls may be missed.",
    "The vectors come from texts by few hands; what their words share is in the directions too.",
    "One set of prompts a study. A finding that shows here may not show on other prompts, and the reverse.",
    "The paper's model is closed and far larger: signs and orders can be compared, sizes cannot.",
    "Nothing here says anything about experience.",
)


@dataclass(frozen=True)
class Subject:
    """One model with its results."""

    name: str
    """Its name."""
    results: tuple[Result, ...]
    """Its studies."""
    background: Background | None = None
    """What they were made of, where it is on record."""
    folder: Path | None = None
    """Where the tables are."""


def report(subjects: Sequence[Subject]) -> str:
    """One self-contained HTML page about one or several models.

    Args:
        subjects: the models, in the order of the page's columns.
    """
    assets = resources.files("affekt.studies.report") / "assets"
    style, script = ((assets / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    figures = _Numbers()
    studies = [(key, f"study-{key}") for key in _keys(subjects)]
    body = "".join(
        [
            f'<p class="lead">{escape(_about(subjects))}</p>',
            f'<p class="notice">{escape(NOTICE)}</p>',
            _contents(subjects, studies),
            '<section id="findings"><h2>What was found</h2>',
            *(_found(subject, len(subjects) > 1) for subject in subjects),
            "</section>",
            _checklist(subjects),
            *(_study(key, anchor, subjects, figures) for key, anchor in studies),
            _list("controls", "Controls", CONTROLS),
            _list("limits", "Limits", LIMITS),
            sources([(one.name, one.results, one.background, one.folder) for one in subjects]),
        ]
    )
    title = f"The emotion concepts of {_and([subject.name for subject in subjects])}"
    return sheet(title, body, style, script)


class _Numbers:
    """Counts the figures."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        self.last += 1
        return self.last


def _about(subjects: Sequence[Subject]) -> str:
    return (
        "The experiments of “Emotion Concepts and their Function in a Large Language Model” "
        "(Sofroniew et al., "
        f"2026), run by Affekt on {_and([subject.name for subject in subjects])}."
    )


def _keys(subjects: Sequence[Subject]) -> list[str]:
    return list(dict.fromkeys(result.study for subject in subjects for result in subject.results))


def _contents(subjects: Sequence[Subject], studies: Sequence[tuple[str, str]]) -> str:
    titles = {result.study: result.title for subject in subjects for result in subject.results}
    links = [("findings", "What was found"), ("checklist", "Checklist")]
    links += [(anchor, titles[key]) for key, anchor in studies]
    links += [("controls", "Controls"), ("limits", "Limits"), ("provenance", "Provenance")]
    items = "".join(f'<li><a href="#{anchor}">{escape(title)}</a></li>' for anchor, title in links)
    return f'<nav aria-label="Contents"><ol>{items}</ol></nav>'


def _found(subject: Subject, several: bool) -> str:
    """The tally, four boxes of one size, and every finding in words under its verdict."""
    found = by_verdict(subject.results)
    boxes = "".join(
        f'<li class="{_class(verdict)}"><b>{len(found[verdict])}</b> <span>{sign} {escape(said)}</span></li>'
        for verdict, sign, said in VERDICTS
    )
    lists = "".join(
        f"<div><h4>{sign} {escape(said)}</h4><ul>"
        + "".join(
            f"<li>{escape(check.what)}: <span>{escape(check.here)}</span></li>" for check in found[verdict]
        )
        + "</ul></div>"
        for verdict, sign, said in VERDICTS
        if found[verdict]
    )
    head = f"<h3>{escape(subject.name)}</h3>" if several else ""
    facts = dict(subject.background.facts) if subject.background is not None else {}
    base = f'<p class="notice">{escape(BASE)}</p>' if facts.get(TURNS) == NO_TEMPLATE else ""
    sentence = escape(headline(subject.name, subject.results))
    return (
        f'{head}<p class="lead">{sentence}</p>{base}<ul class="tally">{boxes}</ul>'
        f'<div class="found">{lists}</div>'
    )


def _checklist(subjects: Sequence[Subject]) -> str:
    sorted_ = sorted_checks({subject.name: subject.results for subject in subjects})
    names = [subject.name for subject in subjects]
    heads = ["finding, and the rule that judges it", "paper", "open replications", *names]
    head = "".join(f'<th scope="col" role="columnheader">{escape(name)}</th>' for name in heads)
    rows = []
    for row, own in sorted_.rows:
        rows.append(_group(row, own, len(heads), subjects))
        rows += [_line(finding, sorted_, heads, names) for finding in own]
    if sorted_.beyond:
        rows.append(
            f'<tr class="group" role="row"><th scope="rowgroup" role="rowheader" '
            f'colspan="{len(heads)}">Beyond the '
            "paper's headline numbers</th></tr>"
        )
        rows += [_line(finding, sorted_, heads, names) for finding in sorted_.beyond]
    return (
        '<section id="checklist"><h2>Checklist</h2>'
        "<p>The paper's 22 headline numbers in its order, each with the findings that answer it "
        "here. Figures "
        "stand with their 95 % interval and n.</p>"
        '<div class="scroll" role="region" aria-label="Checklist" tabindex="0">'
        '<table class="checklist" role="table"><caption class="unseen">Findings: the paper, open '
        "replications, "
        f'and the models of this report</caption><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table></div></section>'
    )


def _group(row: Row, own: Sequence[Finding], width: int, subjects: Sequence[Subject]) -> str:
    """A row of the paper: a heading over its findings, or why there are none."""
    why = ""
    if not own:
        why = row.elsewhere or f"not measured: the study “{row.study}” was not run, or could not judge it"
        for one in subjects:
            facts = dict(one.background.facts) if one.background is not None else {}
            why += f"; {one.name}: {facts[row.fact]}" if row.fact in facts else ""
        why = f' <span class="why">○ {escape(why)}</span>'
    return (
        f'<tr class="group" role="row"><th scope="rowgroup" role="rowheader" colspan="{width}">'
        f'<span class="number">{row.number}</span> {escape(row.what)} <span class="paper">paper: '
        f"{escape(row.paper)}</span>{why}</th></tr>"
    )


def _line(finding: Finding, found: Sorted, heads: Sequence[str], names: Sequence[str]) -> str:
    first = found.first(finding)
    rule = f'<small class="rule">{escape(first.rule)}</small>' if first.rule != "–" else ""
    cells = [escape(first.paper), escape(first.published)]
    cells += [_cell(found.checks[name].get(finding), first.rule) for name in names]
    return (
        f'<tr role="row"><th scope="row" role="rowheader">{escape(first.what)}{rule}</th>'
        + "".join(
            f'<td role="cell" data-head="{escape(head)}">{cell}</td>'
            for head, cell in zip(heads[1:], cells, strict=True)
        )
        + "</tr>"
    )


def _cell(check: Check | None, rule: str) -> str:
    """What was found, and the rule where a model's own figures make it another than the one beside it."""
    if check is None:
        return '<span class="badge not-measured">○ not run</span>'
    sign = next(sign for verdict, sign, _ in VERDICTS if verdict == check.verdict)
    badge = f'<span class="badge {_class(check.verdict)}">{sign} {check.verdict}</span>'
    own = f'<small class="rule">{escape(check.rule)}</small>' if check.rule not in (rule, "–") else ""
    return f"{badge} {escape(check.here)}{own}"


def _study(key: str, anchor: str, subjects: Sequence[Subject], numbers: _Numbers) -> str:
    found = [(one, result) for one in subjects for result in one.results if result.study == key]
    parts = []
    for subject, result in found:
        scale = subject.background.scales.get(key) if subject.background else None
        head = f"<h3>{escape(subject.name)}</h3>" if len(subjects) > 1 else ""
        figures = []
        for each in result.drawn:
            number = numbers.next()
            figures.append(drawn(each.drawing, each.caption, number))
        notes = [*result.notes, *([f"Run at the scale “{scale}”."] if scale else [])]
        parts.append(
            f'<div class="part">{head}<p class="says">{escape(result.headline)}</p>{"".join(figures)}'
            + (
                "<ul class='notes'>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"
                if notes
                else ""
            )
            + "".join(preview(table) for table in result.tables)
            + "</div>"
        )
    return (
        f'<section id="{anchor}"><h2>{escape(found[0][1].title)}</h2>'
        f'<div class="parts" data-n="{len(parts)}">{"".join(parts)}</div></section>'
    )


def _list(anchor: str, title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<section id="{anchor}"><h2>{title}</h2><ul>{items}</ul></section>'


def _class(verdict: Verdict) -> str:
    return verdict.replace(" ", "-")


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
