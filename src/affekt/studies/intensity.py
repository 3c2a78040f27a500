"""Study 5 (paper 3.5): does a reading follow what a number means, and what is at stake beside one number?"""

from __future__ import annotations

import numpy as np
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.concepts import words
from affekt.concepts.shipped import severity, severity_pairs
from affekt.quality import severity as card
from affekt.quality.bootstrap import gain, mean, share
from affekt.quality.places import PLACES, z_at
from affekt.reading.sheet import BLUE, GREY, RED
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, unjudged
from affekt.studies.sections import figure_of, table_of

__all__ = ["intensity", "matched"]

JUDGED = "prompt_end"
"""Where the paper reads."""

ACROSS = 3
"""Panels side by side."""

SIGNS = {"+": "↑", "-": "↓"}
"""How an emotion is expected to go with the number."""

HUES = (BLUE, RED, GREY, "#228833")
"""Colours of a family's emotions."""


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
                "z at the prompt's end as a number rises, a panel a family, a colour an emotion that should "
                "rise or fall with it: solid on the messages where the number matters, dotted of the same "
                "emotion on the same numbers where they mean nothing. A solid line that runs as its dotted "
                "one follows the number, not what it means.",
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
    baseline = words.of_stories()
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
    """A panel for each family, and in it each expected emotion with its control."""
    from plotly.subplots import make_subplots

    families = [family for family in severity() if not family.control]
    controls = {family.values: family for family in severity() if family.control}
    rows = -(-len(families) // ACROSS)
    titles = [family.family.replace("_", " ") for family in families]
    chart = make_subplots(rows=rows, cols=ACROSS, subplot_titles=titles, vertical_spacing=0.2)
    texts = [text for kind in (*families, *controls.values()) for text in kind.texts]
    names = sorted({name for family in families for name in family.expect if name in lab.names})
    z = dict(zip(texts, z_at(lab.engine(), lab.vectors, texts, names)[JUDGED], strict=True))
    for at, family in enumerate(families):
        where = {"row": at // ACROSS + 1, "col": at % ACROSS + 1}
        for hue, name in enumerate(name for name in family.expect if name in names):
            for kind, dash in ((family, "solid"), (controls.get(family.values), "dot")):
                if kind is None:
                    continue
                chart.add_trace(
                    Scatter(
                        x=[str(value) for value in family.values],
                        y=[round(float(z[text][names.index(name)]), 4) for text in kind.texts],
                        name=f"{name} ({family.expect[name]})",
                        hovertemplate="%{x}: %{y:.2f}",
                        mode="lines+text" if kind is family else "lines",
                        text=[*[""] * (len(family.values) - 1), f"{name} {SIGNS[family.expect[name]]}"],
                        textposition="top left",
                        textfont={"size": 9, "color": HUES[hue % len(HUES)]},
                        line={"dash": dash, "color": HUES[hue % len(HUES)], "width": 1.4},
                        showlegend=False,
                    ),
                    **where,
                )
    chart.update_xaxes(type="category", tickfont_size=9)
    chart.update_annotations(font_size=11)
    chart.update_yaxes(title_text="z", col=1)
    chart.update_layout(height=230 * rows + 40)
    return chart
