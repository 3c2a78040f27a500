"""Study 3 (paper 3.1): the passages of a corpus at which each concept is strongest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.concepts import words
from affekt.concepts.jsonl import records
from affekt.concepts.shipped import two_emotions
from affekt.errors import CorpusError
from affekt.quality.bootstrap import gain, mean
from affekt.scoring import Tally
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, unjudged

__all__ = ["Turn", "corpus", "labelled", "passages"]

TITLE = "Where in ordinary text is each concept strongest?"

KEPT = 5
"""Passages kept for each concept."""

BATCH = 64

PERCENTILES = (50, 90, 99, 99.9)


def corpus(lab: Lab, texts: Sequence[str] = ()) -> Result:
    """The strongest passages of each emotion, and the percentiles of its z over all tokens; without texts of
    the user's, over the shipped dialogues of two emotions, whose labels then judge them."""
    turns = [] if texts else labelled(2 if lab.quick else 6)
    read = list(texts) or [turn.text for turn in turns]
    best, cut, tokens = _swept(lab, read)
    rows = [
        {"emotion": name, "place": place, "z": round(z, 4), "text": -number, "passage": passage}
        | ({"shows": turns[-number].shows} if turns else {})
        for name, heap in zip(lab.names, best, strict=True)
        for place, (z, number, passage) in enumerate(sorted(heap, reverse=True), 1)
    ]
    spread = [
        {"emotion": name} | {f"p{p:g}": float(cut[i, column]) for i, p in enumerate(PERCENTILES)}
        for column, name in enumerate(lab.names)
    ]
    check, said = _judged(lab, turns, best)
    return Result(
        "corpus",
        TITLE,
        f"The {KEPT} strongest passages of {len(lab.names)} emotions in {len(read):,} texts of {tokens:,} "
        f"tokens. {said}",
        (Table.of("passages", rows), Table.of("percentiles", spread)),
        (
            Drawn(
                "percentiles",
                _levels(lab.names, cut),
                "z of each emotion over all tokens: the median, the 90th and the 99.9th percentile. Where "
                "the "
                "last is high the emotion has single strong tokens; whether they fit it, the table of "
                "passages "
                "lets you see.",
            ),
        ),
        (check,),
        (
            "The first token of each text is left out: its residual is huge whatever it says. A passage is "
            "the "
            "strongest token with what stands around it; z of 2.3 is about the 99th percentile of texts "
            "without "
            "emotion.",
            "Percentiles are at most 1/64 off.",
            *(
                (
                    "No corpus was named; these are turns of the shipped dialogues, each by one side that "
                    "shows "
                    "one emotion. Name your own with --corpus.",
                )
                if turns
                else ()
            ),
        ),
    )


@dataclass(frozen=True)
class Turn:
    """One turn of a shipped dialogue."""

    text: str
    """What is said."""
    shows: str
    """The emotion of who says it."""


def labelled(each: int) -> list[Turn]:
    """The first turns of every shipped dialogue of two emotions, `each` of them."""
    return [
        Turn(str(message["content"]), dialogue.user if message["role"] == "user" else dialogue.assistant)
        for dialogue in two_emotions()
        for message in dialogue.messages[:each]
    ]


def _swept(
    lab: Lab, texts: Sequence[str]
) -> tuple[list[list[tuple[float, int, str]]], Float[np.ndarray, "percentiles emotions"], int]:
    """The strongest passages of each emotion (z, minus the text's number, the passage), percentiles, "
    "tokens."""
    tally = Tally.empty(len(lab.names), KEPT)
    engine = lab.engine()
    for at in range(0, len(texts), BATCH):
        for number, reading in enumerate(engine.read(list(texts[at : at + BATCH]), lab.names), at):
            tally = tally.add(reading, number, str(number))
        lab.told("corpus", min(at + BATCH, len(texts)), len(texts))
    best = [[(one.z, -one.ordinal, one.text) for one in own] for own in tally.strongest.best]
    return best, tally.spread.percentiles(PERCENTILES), tally.spread.tokens


def _judged(
    lab: Lab, turns: Sequence[Turn], best: Sequence[Sequence[tuple[float, int, str]]]
) -> tuple[Check, str]:
    what = f"turns of an emotion among the {KEPT} strongest passages of its probe, beyond the words alone"
    if not turns:
        row = unjudged(what, "fitting passages (figure 1)", "–", "no labels; the passages are listed")
        return row, "Whether they fit is for the reader to say."
    baseline = words.of_stories()
    scores = baseline.scores([turn.text for turn in turns])
    own, plain = [], []
    for column, name in enumerate(lab.names):
        right = {i for i, turn in enumerate(turns) if turn.shows == name}
        if not right or name not in baseline.concepts:
            continue
        near = np.argsort(-scores[:, baseline.concepts.index(name)], kind="stable")[:KEPT]
        most = min(len(right), KEPT)
        own.append(len(right & {-number for _, number, _ in best[column]}) / most)
        plain.append(len(right & set(near.tolist())) / most)
    found, by_words = np.array(own), np.array(plain)
    figure = gain(found, by_words, "emotions")
    said = (
        f"{mean(found, 'emotions')} of an emotion's own turns are among them (words alone "
        f"{by_words.mean():.2f}; chance {KEPT / len(turns):.3f})."
    )
    return by_sign(what, "top snippets show the emotion (figure 1)", "–", figure), said


def _levels(names: Sequence[str], cut: Float[np.ndarray, "percentiles emotions"]) -> Drawing:
    order = np.argsort(-cut[-1])
    chart = Drawing(
        [
            Scatter(
                x=[names[i] for i in order],
                y=np.round(cut[row, order], 3),
                name=f"{PERCENTILES[row]:g} %",
                mode="markers",
                marker={"size": 4},
            )
            for row in (0, 1, len(PERCENTILES) - 1)
        ]
    )
    chart.update_layout(yaxis_title="z", height=380, xaxis_tickfont_size=7)
    return chart


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
