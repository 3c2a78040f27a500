"""Results of one or several models as one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from affekt.reading.sheet import drawn, sheet, table
from affekt.studies.result import Result

__all__ = ["headline", "report"]

LIMITS = (
    "A model does not feel. These are linear directions in the residual stream, functional and local. Each "
    "row of the "
    "checklist was judged by the rule that stands beside it, written before the run; on small models many "
    "of the "
    "paper's findings do not show, and such rows are as much a result as the others."
)


def report(models: Mapping[str, Sequence[Result]], provenance: Mapping[str, Sequence[str]]) -> str:
    """Headline, checklist, every study with its figures and limits, provenance.

    Args:
        models: the results of each model by its name.
        provenance: for each model, lines that say what the results were made of.
    """
    names = ", ".join(models)
    body = "".join(
        [
            *(f'<p class="lead">{escape(headline(name, results))}</p>' for name, results in models.items()),
            f"<p>{escape(LIMITS)}</p>",
            "<h2>Checklist</h2>",
            _checklist(models),
            *(_study(key, models) for key in _keys(models)),
            "<h2>Provenance</h2>",
            *(
                f"<h3>{escape(name)}</h3>" + "".join(f'<p class="small">{escape(line)}</p>' for line in lines)
                for name, lines in provenance.items()
            ),
        ]
    )
    return sheet(f"The emotion concepts of {names}", body)


def headline(name: str, results: Sequence[Result]) -> str:
    """How many rows came out how, in words."""
    words = Counter(check.verdict for result in results for check in result.checks)
    judged = sum(words.values()) - words["not measured"]
    return (
        f"{name}: of {judged} findings that could be judged, {words['reproduced']} are reproduced, "
        f"{words['partly']} "
        f"partly, {words['not reproduced']} not; {words['not measured']} were not measured."
    )


def _keys(models: Mapping[str, Sequence[Result]]) -> list[str]:
    return list(dict.fromkeys(result.study for results in models.values() for result in results))


def _checklist(models: Mapping[str, Sequence[Result]]) -> str:
    rows: dict[str, list[str]] = {}
    for at, results in enumerate(models.values()):
        for check in (check for result in results for check in result.checks):
            row = rows.setdefault(
                check.what, [check.what, check.paper, check.published, *["–"] * len(models), check.rule]
            )
            row[3 + at] = f"{check.here} — {check.verdict}"
    heads = ["finding", "paper", "open replications", *models, "rule"]
    return table(heads, rows.values(), words=len(heads))


def _study(key: str, models: Mapping[str, Sequence[Result]]) -> str:
    found = {name: one for name, results in models.items() for one in results if one.study == key}
    title = next(iter(found.values())).title
    pieces = [f"<h2>{escape(title)}</h2>"]
    for name, one in found.items():
        if len(models) > 1:
            pieces.append(f"<h3>{escape(name)}</h3>")
        pieces.append(f"<p>{escape(one.headline)}</p>")
        pieces += [drawn(each.drawing, each.caption) for each in one.drawn]
        pieces += [f'<p class="small">{escape(note)}</p>' for note in one.notes]
    return "".join(pieces)
