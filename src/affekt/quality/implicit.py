"""Is an emotion read that a message implies and does not name, and better than from the words alone?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from affekt.concepts import words
from affekt.concepts.shipped import Implicit, implicit
from affekt.concepts.shipped import stories as shipped_stories
from affekt.engines.engine import Engine
from affekt.quality.accuracy import COLUMNS, says
from affekt.quality.cells import Training
from affekt.quality.hits import TOPS, compare, hits_of
from affekt.quality.places import PLACES, z_at
from affekt.quality.section import Cell, Section, unmeasured
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["TITLE", "implied"]

TITLE = "Does it name an emotion that a message implies?"


def implied(
    engine: Engine,
    vectors: ConceptVectors,
    trainings: Sequence[Training],
    messages: Sequence[Implicit] | None = None,
) -> Section:
    """Top-1 and top-5 on user messages with an implied emotion (paper section 3.4), beside the words alone.

    Args:
        engine: runs the model.
        vectors: their emotions are ranked by z.
        trainings: the corpora at hand; the baseline is fitted on the one that has the emotions.
        messages: by default the shipped 60.
    """
    names = [concept.name for concept in vectors.concepts if concept.kind == "emotion"]
    asked = [m for m in (implicit() if messages is None else messages) if m.concept in names]
    corpus = next((t.corpus for t in trainings if {c.name for c in t.corpus.concepts} >= set(names)), None)
    if len(asked) < 2 or len(names) < 2:
        return unmeasured(TITLE, "the vectors hold none of the emotions that the messages imply")
    if corpus is None:
        return unmeasured(
            TITLE, "the corpus of the vectors is not at hand, so there is no text-only baseline"
        )
    readings = z_at(engine, vectors, [message.text for message in asked], names)
    truth = np.array([names.index(message.concept) for message in asked])
    baseline = words.of_stories() if corpus is shipped_stories() else words.fit(corpus)
    order = [baseline.concepts.index(name) for name in names]
    scores = baseline.scores([message.text for message in asked])[:, order]
    like = [text.body for text in shipped_stories().only(form="message")]
    plain = hits_of(scores, truth)
    centred = hits_of(scores - baseline.scores(like)[:, order].mean(0), truth)
    stronger = max((plain, centred), key=lambda hits: hits.total)
    given = "centred on everyday messages" if stronger is centred else "as it comes, not centred"
    hits = {place: hits_of(readings[place], truth) for place in PLACES}
    rows: list[tuple[Cell, ...]] = [(name, *compare(hits[place], stronger)) for place, name in PLACES.items()]
    figures = compare(hits["user"], stronger)
    return Section(
        TITLE,
        says("messages that only imply an emotion", figures[2], figures[5]),
        ("read at", *COLUMNS),
        tuple(rows),
        (
            f"Ranked by z among {len(names)} emotions. The text-only baseline is fitted on the texts that "
            f"the vectors were made of ({corpus.name}) and is {given}, which is the stronger of the two.",
            f"By chance top-1 is {1 / len(names):.3f}, top-5 {min(1, 5 / len(names)):.3f}.",
        ),
        {
            "chance": [k / len(names) for k in TOPS],
            "texts": [
                {"concept": message.concept, "words": float(stronger.at[1][i])}
                | {place: [names[j] for j in np.argsort(-readings[place][i])[:5]] for place in PLACES}
                for i, message in enumerate(asked)
            ],
        },
    )
