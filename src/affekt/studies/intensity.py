"""Study 5 (paper 3.5): does a reading follow what a number means, and what is at stake beside one number?"""

from __future__ import annotations

import numpy as np
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.concepts import words
from affekt.concepts.shipped import severity, severity_pairs, stories
from affekt.quality import severity as card
from affekt.quality.bootstrap import gain, mean, share
from affekt.quality.places import PLACES, z_at
from affekt.reading.sheet import BLUE, GREY
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, unjudged
from affekt.studies.sections import figure_of, table_of

__all__ = ["intensity", "matched"]

JUDGED = "prompt_end"
"""Where the paper reads."""


def intensity(lab: Lab) -> Result:
    """Families of a rising number beside the same numbers that mean nothing; and pairs of the same numbers of
    which one is graver, beside what their words alone would say."""
    section = card.numbers(lab.engine(), lab.vectors)
    what = "intensity beyond number-only controls, at the user's words"
    if not section.rows:
        return Result(
            "intensity",
            section.title,
            section.verdict,
            checks=(unjudged(what, "monotone", "–", section.verdict),),
            notes=section.notes,
        )
    rows = [{"place": place, **row} for place, found in section.data.items() for row in found]
    pairs, checks, said = matched(lab)
    own = [
        by_sign(
            f"rho of the readings with the number beyond number-only controls, at {name}",
            "12 of 12 signs, monotone (figure 3)",
            "control as strong on small models",
            figure_of(section, at, 5),
        )
        for at, name in enumerate(PLACES.values())
    ]
    return Result(
        "intensity",
        section.title,
        f"{section.verdict} {said}",
        (table_of("summary", section), Table.of("families", rows), pairs),
        (
            Drawn(
                "families",
                _families(lab),
                "z at the prompt's end of each expected emotion as the number rises (first to last of its "
                "values), solid, and of the same emotion on the same numbers where they mean nothing, "
                "dotted. "
                "A solid line that runs as its dotted one follows the number, not what it means.",
            ),
        ),
        (*own, *checks),
        section.notes,
    )


def matched(lab: Lab) -> tuple[Table, list[Check], str]:
    """The pairs of the same numbers: a table, the checks and a sentence."""
    pairs = severity_pairs()
    names = sorted({name for pair in pairs for name in pair.expect if name in lab.names})
    texts = [text for pair in pairs for text in (pair.mild, pair.severe)]
    z = z_at(lab.engine(), lab.vectors, texts, names)
    baseline = words.fit(stories())
    scores = baseline.scores(texts)[:, [baseline.concepts.index(name) for name in names]]
    rows = []
    for at, pair in enumerate(pairs):
        for name, sign in pair.expect.items():
            if name not in names:
                continue
            column, side = names.index(name), 1 if sign == "+" else -1
            rows.append(
                {"pair": pair.pair, "emotion": name, "expected": sign}
                | {
                    place: side * float(values[2 * at + 1, column] - values[2 * at, column])
                    for place, values in z.items()
                }
                | {"words alone": side * float(scores[2 * at + 1, column] - scores[2 * at, column])}
            )
    table = Table.of("matched pairs", rows)
    groups = [str(row["pair"]) for row in rows]
    of = f"expectations, drawn by pair ({len(set(groups))})"
    change = np.array([row[JUDGED] for row in rows], dtype=np.float64)
    control = np.array([row["words alone"] for row in rows], dtype=np.float64)
    right, plain = _right(change), _right(control)
    size, hits = mean(change, of, groups), share(right, of, groups)
    checks = [
        by_sign("graver of two messages of the same numbers: change of z as expected", "–", "5 of 6", size),
        by_sign(
            "graver of two messages: right signs beyond the words alone",
            "not reported",
            "not reported",
            gain(right, plain, of, groups),
        ),
    ]
    said = (
        f"Of two messages of the same numbers the graver one moves {hits} of the expected readings the right "
        f"way at the prompt's end (words alone {plain.mean():.2f})."
    )
    return table, checks, said


def _right(change: np.ndarray) -> np.ndarray:
    """1 for a change of the right sign, 0 for one of the wrong sign, one half for none."""
    signs: np.ndarray = (np.sign(change) + 1) / 2
    return signs


def _families(lab: Lab) -> Drawing:
    families = severity()
    chart = Drawing()
    controls = {family.values: family for family in families if family.control}
    for family in (f for f in families if not f.control):
        names = [name for name in family.expect if name in lab.names]
        for kind, dash, colour in ((family, "solid", BLUE), (controls.get(family.values), "dot", GREY)):
            if kind is None:
                continue
            z = z_at(lab.engine(), lab.vectors, kind.texts, names)["prompt_end"]
            for column, name in enumerate(names):
                chart.add_trace(
                    Scatter(
                        x=list(range(1, len(family.values) + 1)),
                        y=np.round(z[:, column], 4),
                        name=f"{kind.family}: {name}",
                        text=[str(value) for value in family.values],
                        hovertemplate="%{text}: %{y:.2f}",
                        line={"dash": dash, "color": colour, "width": 1.2},
                        showlegend=False,
                    )
                )
    chart.update_layout(xaxis_title="place of the number among its values", yaxis_title="z", height=420)
    return chart
