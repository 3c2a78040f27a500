"""Study 4, first part (paper 3.4): is an emotion read that a message implies and does not name?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from affekt.concepts.shipped import implicit as messages
from affekt.quality import implicit
from affekt.quality.bootstrap import count
from affekt.quality.cells import trainings
from affekt.quality.naming import DISPLAY
from affekt.quality.places import z_at
from affekt.studies.heat import heat
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, by_size, unjudged
from affekt.studies.sections import figure_of, table_of

__all__ = ["implied"]

LEAST = 8
"""Messages of the twelve whose own probe must be the highest of twelve (our specification, section 12)."""


def implied(lab: Lab) -> Result:
    """Top-1 and top-5 of 171 on 60 messages, beside the words alone; and the paper's 12 x 12."""
    section = implicit.implied(lab.engine(), lab.vectors, trainings(lab.vectors))
    what = "implicit messages: own probe in the first five, beyond the words alone"
    if not section.rows:
        row = unjudged(what, "8 of 12 and more", "5/12 first", section.verdict)
        return Result("implicit", section.title, section.verdict, checks=(row,), notes=section.notes)
    five, beyond = (figure_of(section, 0, column) for column in (4, 6))
    rows = [
        {"emotion": text["concept"], "place": place, "read": ", ".join(text[place])}
        for text in section.data["texts"]
        for place in ("user", "prompt_end")
    ]
    shown = [name for name in DISPLAY if name in lab.names and name in {m.concept for m in messages()}]
    z = _matrix(lab, shown)
    hits = int((z.argmax(axis=1) == np.arange(len(shown))).sum())
    diagonal = count(hits, len(shown), "messages")
    table = [
        {"message": one, "probe": other, "z": round(float(z[i, j]), 5)}
        for i, one in enumerate(shown)
        for j, other in enumerate(shown)
    ]
    return Result(
        "implicit",
        section.title,
        f"{section.verdict} Of the paper's display emotions, {hits} of {len(shown)} messages have their own "
        f"probe highest at the prompt's end ({1 / len(shown):.2f} by chance).",
        (table_of("summary", section), Table.of("messages", rows), Table.of("matrix", table)),
        (
            Drawn(
                "matrix",
                heat(z, shown, shown, "probe", "implied by the message", 1),
                "z at the prompt's end of each display emotion's probe (column) on the message that implies "
                "an "
                "emotion (row). A diagonal shows that the probe fits the message, and not that the model "
                "feels "
                "it; a probe high in a whole column answers to any message.",
            ),
        ),
        (
            by_size(
                "implicit messages: own probe in the first five of 171",
                "first of 12 on the diagonal",
                "20-60 % in the first 3 of 20",
                five,
                0.6,
                0.3,
            ),
            by_sign(what, "not reported", "TF-IDF 35-40 % on stories", beyond),
            Check(
                f"own probe highest of {len(shown)} display emotions",
                "strong diagonal",
                "5 of 12",
                str(diagonal),
                f"at least {LEAST / 12:.2f}; partly: lower end above chance ({1 / len(shown):.2f})",
                "reproduced"
                if diagonal.value >= LEAST / 12
                else "partly"
                if diagonal.low > 1 / len(shown)
                else "not reproduced",
            ),
        ),
        section.notes,
    )


def _matrix(lab: Lab, shown: list[str]) -> Float[np.ndarray, "messages probes"]:
    texts = {message.concept: message.text for message in messages()}
    z: Float[np.ndarray, "messages probes"] = z_at(
        lab.engine(), lab.vectors, [texts[name] for name in shown], shown
    )["prompt_end"]
    return z
