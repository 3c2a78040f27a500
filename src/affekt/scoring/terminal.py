"""The scores of a corpus in the terminal: a few concepts, how far they reach, and where."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from affekt.reading.pieces import inline
from affekt.scoring.outcome import Scores
from affekt.scoring.strongest import Passage

__all__ = ["render"]

CONCEPTS = 5
"""Concepts shown when none are asked for: those of the strongest passages."""

PASSAGES = 2
"""Passages shown for each."""


def render(scores: Scores, names: Sequence[str] | None = None) -> Group:
    """What was read, a line of figures a concept, and the strongest passages.

    Args:
        scores: the result.
        names: the concepts shown; None is those of the strongest passages.
    """
    chosen = list(names)[: 2 * CONCEPTS] if names else scores.strongest(CONCEPTS)
    cut = f", {scores.cut:,} cut at the longest that is read" if scores.cut else ""
    left = f", {len(scores.faults):,} left out" if scores.faults else ""
    head = (
        f"{scores.documents:,} documents{cut}{left}; {scores.tally.spread.tokens:,} tokens that count, "
        f"{len(scores.concepts)} concepts at layer {scores.layer}"
    )
    blocks: list[RenderableType] = [Text(head, Style(dim=True)), _table(scores, chosen)]
    for name in chosen:
        blocks.append(Text(inline(name), Style(bold=True)))
        blocks += [
            _passage(one) for one in scores.tally.strongest.best[scores.concepts.index(name)][:PASSAGES]
        ]
    return Group(*blocks)


def _table(scores: Scores, names: Sequence[str]) -> Table:
    table = Table(box=SIMPLE, caption="z over tokens; ± 95 %, documents as clusters", caption_justify="left")
    keys = ("p50", "p99", "p99.9", "max")
    for name in ("", "mean", *keys):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    columns = scores.percentiles()
    for name in names:
        i = scores.concepts.index(name)
        margin = columns["margin"][i]
        sure = f" ± {margin:.2f}" if margin == margin else ""
        table.add_row(
            Text(inline(name)), f"{columns['mean'][i]:+.2f}{sure}", *(f"{columns[k][i]:+.2f}" for k in keys)
        )
    return table


def _passage(one: Passage) -> Text:
    line = Text("  ")
    line.append(f"{one.z:5.2f}  ", Style(dim=True))
    line.append(f"{inline(one.before)}")
    line.append(inline(one.word), Style(bold=True, reverse=True))
    line.append(f"{inline(one.after)}")
    line.append(f"  ({inline(one.id)})", Style(dim=True))
    return line
