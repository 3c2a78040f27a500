"""Study 3 (paper 3.1): the passages of a corpus at which each concept is strongest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from affekt.concepts.jsonl import records
from affekt.errors import CorpusError
from affekt.scoring import Tally
from affekt.studies.lab import Lab
from affekt.studies.result import Result, Table, unjudged

__all__ = ["corpus", "passages"]

KEPT = 5
"""Passages kept for each concept."""

BATCH = 64

PERCENTILES = (50, 90, 99, 99.9)


def corpus(lab: Lab, texts: Sequence[str]) -> Result:
    """The strongest passages of each emotion, and the percentiles of its z over all tokens."""
    what = "strongest corpus passages"
    title = "Where in ordinary text is each concept strongest?"
    if not texts:
        why = "no corpus was named; give one with --corpus"
        return Result(
            "corpus", title, f"Not measured: {why}.", checks=(unjudged(what, "fitting passages", "–", why),)
        )
    tally = Tally.empty(len(lab.names), KEPT)
    engine = lab.engine()
    for at in range(0, len(texts), BATCH):
        for number, reading in enumerate(engine.read(list(texts[at : at + BATCH]), lab.names), at):
            tally = tally.add(reading, number, str(number))
        lab.told("corpus", min(at + BATCH, len(texts)), len(texts))
    cut = tally.spread.percentiles(PERCENTILES)
    rows = [
        {"emotion": name, "place": place, "z": round(one.z, 4), "text": one.ordinal, "passage": one.text}
        for name, best in zip(lab.names, tally.strongest.best, strict=True)
        for place, one in enumerate(best, 1)
    ]
    spread = [
        {"emotion": name} | {f"p{p:g}": float(cut[i, column]) for i, p in enumerate(PERCENTILES)}
        for column, name in enumerate(lab.names)
    ]
    return Result(
        "corpus",
        title,
        f"The {KEPT} strongest passages of {len(lab.names)} emotions in {len(texts):,} texts of "
        f"{tally.spread.tokens:,} "
        "tokens. Whether they fit is for the reader to say.",
        (Table.of("passages", rows), Table.of("percentiles", spread)),
        checks=(unjudged(what, "fitting passages (figure 1)", "–", "listed; no rule judges them"),),
        notes=(
            "The first token of each text is left out: its residual is huge whatever it says.",
            "Percentiles are at most 1/64 off.",
        ),
    )


def passages(path: Path) -> list[str]:
    """The texts of a corpus file: the `text` of each line of JSON Lines, or the paragraphs of a plain text.

    Raises:
        CorpusError: the file cannot be read, is empty, or a line has no text.
    """
    if path.suffix == ".jsonl":
        texts = []
        for where, row in records(path):
            if not isinstance(row.get("text"), str) or not row["text"].strip():
                raise CorpusError(f"{where}: a passage needs a 'text' that is not empty")
            texts.append(row["text"])
    else:
        try:
            whole = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"{path}: cannot be read ({error})") from error
        texts = [part.strip() for part in whole.split("\n\n") if part.strip()]
    if not texts:
        raise CorpusError(f"{path}: no text in it")
    return texts
