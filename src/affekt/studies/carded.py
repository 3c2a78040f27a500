"""Studies 2, 4 (implicit), 5 and 7 (naming): what the quality card measures, as studies."""

from __future__ import annotations

import numpy as np
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Heatmap

from affekt.quality import implicit, lens, naming, severity
from affekt.quality.cells import trainings
from affekt.quality.section import Section
from affekt.quality.unembedding import unembedding
from affekt.reading.sheet import BLUE, RED
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, by_size, unjudged
from affekt.studies.sections import figure_of, table_of

__all__ = ["causal", "implied", "intensity", "vocabulary"]


def vocabulary(lab: Lab) -> Result:
    """Study 2 (paper 3.2): the logit lens, with and without the final norm's gain."""
    section = lens.lens(lab.vectors, unembedding(lab.model))
    rows = [
        {"vectors": label, "emotion": word, "rank": about["rank"], "top": " ".join(about["top"])}
        for label, words in section.data.items()
        if isinstance(words, dict)
        for word, about in words.items()
    ]
    shares = [(i, row) for i, row in enumerate(section.rows) if not str(row[0]).startswith("random")]
    best = max((figure_of(section, i, 3) for i, _ in shares), key=lambda figure: figure.value, default=None)
    what = "share of vectors whose word is in the lens's top 100"
    check = (
        unjudged(what, "each vector shown names related tokens", "–", section.verdict)
        if best is None
        else by_size(what, "each vector shown names related tokens (table 1)", "–", best, 0.5, 0.1)
    )
    return _result("lens", section, [Table.of("tokens", rows)] if rows else [], [check])


def implied(lab: Lab) -> Result:
    """Study 4 (paper 3.4): messages that imply an emotion and do not name it."""
    section = implicit.implied(lab.engine(), lab.vectors, trainings(lab.vectors))
    what = "implicit messages: own probe in the first five, beyond the words alone"
    if not section.rows:
        return _result(
            "implicit", section, [], [unjudged(what, "8 of 12 and more", "5/12 first", section.verdict)]
        )
    five, beyond = (figure_of(section, 0, column) for column in (4, 6))
    rows = [
        {"emotion": text["concept"], "place": place, "read": ", ".join(text[place])}
        for text in section.data["texts"]
        for place in ("user", "prompt_end")
    ]
    checks = [
        by_size(
            "implicit messages: own probe in the first five of 171",
            "first of 12 on the diagonal",
            "20-60 % in the first 3 of 20",
            five,
            0.6,
            0.3,
        ),
        by_sign(what, "not reported", "TF-IDF 35-40 % on stories", beyond),
    ]
    return _result("implicit", section, [Table.of("messages", rows)], checks)


def intensity(lab: Lab) -> Result:
    """Study 5 (paper 3.5): numbers that matter, beside the same numbers that do not."""
    section = severity.numbers(lab.engine(), lab.vectors)
    what = "intensity beyond number-only controls, at the user's words"
    if not section.rows:
        return _result("intensity", section, [], [unjudged(what, "monotone", "–", section.verdict)])
    rows = [{"place": place, **row} for place, found in section.data.items() for row in found]
    check = by_sign(
        what,
        "monotone in six templates (figure 3)",
        "control as strong on small models",
        figure_of(section, 0, 5),
    )
    return _result("intensity", section, [Table.of("families", rows)], [check])


def causal(lab: Lab) -> Result:
    """Study 7 (paper 3.6): does steering by a concept make the model name it?"""
    section = naming.naming(lab.engine, lab.vectors)
    if not section.rows:
        return _result(
            "causal", section, [], [unjudged("steering names the concept", "diagonal", "–", section.verdict)]
        )
    last = len(section.rows) - 1
    dose = str(section.rows[last][0])
    matrix = np.array(section.data[f"dose {dose}"]["matrix"])
    words = section.data["words"]
    rows = [
        {"steered by": one, "word": other, "change": float(matrix[i, j]), "dose": float(dose)}
        for i, one in enumerate(words)
        for j, other in enumerate(words)
    ]
    chart = Drawing(
        Heatmap(
            z=matrix,
            x=words,
            y=words,
            zmid=0,
            colorscale=[[0, BLUE], [0.5, "rgba(138,136,128,.15)"], [1, RED]],
        )
    )
    chart.update_layout(xaxis_title='word after "He feels"', yaxis_title="steered by", height=480)
    caption = (
        f"Change of each word's log-probability in nats at a dose of {dose}. A diagonal means that a vector "
        "raises its own word most."
    )
    checks = [
        by_sign(
            f"own word beyond {against} (nats)",
            "diagonal (figure 52)",
            "not replicated cleanly",
            figure_of(section, last, column),
        )
        for column, against in ((5, "the other words"), (6, "random directions of the same norm"))
    ]
    made = _result("causal", section, [Table.of("changes", rows)], checks)
    return Result(
        made.study,
        made.title,
        made.headline,
        made.tables,
        (Drawn("naming", chart, caption),),
        made.checks,
        made.notes,
    )


def _result(study: str, section: Section, tables: list[Table], checks: list[Check]) -> Result:
    shown = [table_of("summary", section)] if section.rows else []
    return Result(
        study, section.title, section.verdict, (*shown, *tables), checks=tuple(checks), notes=section.notes
    )
