"""From the options of `affekt corpus write` to an order, and a run's summary in words."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from affekt.errors import CorpusError, UnknownConcept

if TYPE_CHECKING:
    from affekt.concepts.writing import Kind, Order, Summary

__all__ = ["ordered", "said"]

NEXT = {
    "stories": "extract MODEL --corpus {out}",
    "neutral": "calibrate MODEL --traffic {out}/neutral.jsonl",
    "two_emotions": "study MODEL --only speakers --dialogues {out}",
    "deflection": "study MODEL --only deflection --dialogues {out}",
}
"""What texts of each kind are for: the command that reads them."""


def ordered(
    kind: Kind,
    topics: str | None,
    concepts: str | None,
    texts: int,
    a_call: int,
    tries: int,
    prompt: Path | None,
    seed: int,
) -> Order:
    """What is to be written.

    Raises:
        CorpusError: a file that is not there or holds nothing; too few concepts for a pair; a prompt without
            its premise.
    """
    from affekt.concepts.writing import Order
    from affekt.concepts.writing.order import premises_of

    shipped = Path(str(resources.files("affekt.concepts") / "data" / f"{kind.premises}.jsonl"))
    first = int(topics) if topics is not None and topics.isdigit() else None
    source = Path(topics) if topics is not None and first is None else None
    premises = premises_of(source, shipped, first)
    cells = tuple(kind.plan(premises, _concepts(kind, concepts), seed))
    if not cells:
        raise CorpusError(f"{kind.name} need two emotions at least, and a topic")
    template = _template(kind, prompt)
    return Order(cells, {one.topic: one.text for one in premises}, texts, min(a_call, texts), tries, template)


def _concepts(kind: Kind, asked: str | None) -> list[str]:
    """Concepts named with commas or in a file; a slip for a known one is refused, a new one is welcome."""
    from affekt.concepts import emotions
    from affekt.concepts.spelling import slip_for
    from affekt.concepts.writing.order import HIDDEN

    known = [concept.name for concept in emotions()]
    if asked is None:
        return list(HIDDEN) if kind.name == "deflection" else known
    file = Path(asked)
    if file.is_file():
        words = file.read_text(encoding="utf-8").splitlines()
    else:
        words = asked.split(",")
    names = list(dict.fromkeys(word.strip() for word in words if word.strip()))
    for name in names:
        if name not in known and slip_for(name, known) is not None:
            raise UnknownConcept(name, known)
    return names


def _template(kind: Kind, prompt: Path | None) -> str:
    if prompt is None:
        return kind.prompt
    try:
        text = prompt.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{prompt}: cannot be read ({error})") from error
    if "{premise}" not in text:
        raise CorpusError(
            f"{prompt}: the prompt has no {{premise}}; begin with: affekt corpus prompt {kind.name}"
        )
    return text


def said(summary: Summary, out: Path, files: Sequence[Path], kind: Kind, stopped: bool = False) -> str:
    """The summary of a run; of one that was stopped the cells that it did not come to are not called
    short."""
    taken, lost = sum(summary.writers.values()), sum(summary.refused.values())
    lines = [
        f"{summary.have:,} of {summary.wanted:,} texts are there"
        + (f", and {summary.beyond:,} beyond" if summary.beyond else "")
        + f"; {summary.calls:,} calls, {taken:,} texts taken, {lost:,} texts or replies refused"
    ]
    for reason, count in summary.refused.items():
        lines.append(f"  {count:>6,} {reason:<18} e.g. {summary.examples[reason]}")
    if summary.short and not stopped:
        shown = "; ".join(summary.short[:3])
        lines.append(
            f"{len(summary.short):,} cells are short, such as {shown}; --again asks for them again; where "
            f"cells stay empty topic does not quite cancel"
        )
    if len(summary.writers) > 1:
        by = ", ".join(f"{name} {count:,}" for name, count in summary.writers.items())
        lines.append(f"written by {by}")
    if (often := summary.names.often()) and taken:
        shown = ", ".join(f"{name} {share:.0%}" for name, share in often[:5])
        lines.append(f"names that stand in too many texts: {shown}")
    if summary.openings and summary.openings[0][1] > 0.05:
        lines.append(f"{summary.openings[0][1]:.0%} of the texts begin with {summary.openings[0][0]!r}")
    several = "s" if len(files) != 1 else ""
    lines.append(f"{len(files)} file{several} in {out}" if files else f"no text in {out}")
    if files:
        lines.append(f"next: affekt corpus check {out}")
        lines.append(f"      affekt {NEXT[kind.name].format(out=out)}")
    return "\n".join(lines)
