"""Study 9 (paper 6.1 to 6.3): whose emotion is it? Present- and other-speaker vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Heatmap
from torch import Tensor

from affekt.concepts.shipped import two_emotions
from affekt.quality.bootstrap import mean, statistic
from affekt.quality.figure import Figure
from affekt.reading.axes import axis_weights
from affekt.reading.sheet import BLUE, RED
from affekt.studies.lab import Lab
from affekt.studies.result import Drawn, Result, Table, by_sign
from affekt.vectors.collect import role_tokens
from affekt.vectors.directions import unit

__all__ = ["speakers"]

KINDS = {
    "present, assistant's turns": ("assistant", "assistant"),
    "present, user's turns": ("user", "user"),
    "other, assistant's turns": ("user", "assistant"),
    "other, user's turns": ("assistant", "user"),
}
"""Kind of vector -> whose emotion it is made by, and on whose tokens it is made."""


def speakers(lab: Lab) -> Result:
    """Vectors of the speaker's own and of the other's emotion, from 171 dialogues of two emotions; each word
    is shown once by each side, so a vector rests on one dialogue."""
    dialogues = [d for d in two_emotions() if d.user in lab.names and d.assistant in lab.names]
    layer = lab.vectors.read_layer
    rows = {
        role: _residuals(lab, [d.messages for d in dialogues], role, layer) for role in ("assistant", "user")
    }
    story = lab.units()
    kinds: dict[str, Tensor] = {"stories": story}
    for kind, (whose, where) in KINDS.items():
        own = {getattr(d, whose): i for i, d in enumerate(dialogues)}
        chosen = rows[where][[own[name] for name in lab.names if name in own]]
        kinds[kind] = unit(chosen - chosen.mean(dim=0))
    names = [name for name in lab.names if name in {d.user for d in dialogues}]
    kinds["stories"] = story[[lab.names.index(name) for name in names]]
    labels = list(kinds)
    table, matrix, figures = _cross(kinds)
    present = [figures["stories", kind] for kind in labels[1:3]]
    other = [figures["stories", kind] for kind in labels[3:]]
    same = figures[labels[1], labels[2]]
    crossed = figures[labels[1], labels[3]]
    regulation = _regulation(lab, dialogues)
    checks = [
        by_sign(
            "present speaker, both roles: same emotion beyond other emotions (cosine)",
            "high, shared",
            "0.54, 0.45; 0.15",
            same,
        ),
        by_sign(
            "present-speaker vectors lie along story vectors",
            "R² 0.66",
            "–",
            max(present, key=lambda f: f.value),
        ),
        by_sign(
            "other-speaker vectors are directions of their own: cosine to present ones near 0",
            "near 0",
            "0.15, 0.13",
            crossed,
            -1,
        ),
        by_sign(
            "other-speaker vectors lie along story vectors", "weakly", "–", max(other, key=lambda f: f.value)
        ),
    ]
    chart = Drawing(
        Heatmap(
            z=matrix,
            x=labels,
            y=labels,
            zmid=0,
            colorscale=[[0, BLUE], [0.5, "rgba(138,136,128,.15)"], [1, RED]],
        )
    )
    chart.update_layout(height=420)
    return Result(
        "speakers",
        "Whose emotion is it?",
        f"Vectors of the speaker's own emotion agree between roles by {same} (cosine of the same emotion "
        "beyond "
        f"others); a speaker's and the other's by {crossed}.",
        (table, regulation),
        (
            Drawn(
                "kinds",
                chart,
                "Mean cosine of the same emotion in two kinds of vectors, less that of different emotions. "
                "One "
                "dialogue a word: a low figure may be noise of the vectors.",
            ),
        ),
        tuple(checks),
        (
            f"{len(dialogues)} dialogues, one for each word and side; vectors at layer {layer}, means over "
            "a role's turns.",
        ),
    )


def _residuals(
    lab: Lab, chats: Sequence[Sequence[object]], role: str, layer: int
) -> Float[Tensor, "dialogues d_model"]:
    out = torch.zeros(len(chats), lab.model.identity.d_model)
    for done, one in enumerate(lab.engine().collect(chats, [layer], role_tokens(role)), 1):  # type: ignore[arg-type]
        out[one.index] = one.values[0, 0]
        lab.told(f"speakers, {role}", done, len(chats))
    return out


def _cross(
    kinds: dict[str, Tensor],
) -> tuple[Table, Float[np.ndarray, "kinds kinds"], dict[tuple[str, str], Figure]]:
    rows, figures = [], {}
    matrix = np.zeros((len(kinds), len(kinds)))
    for i, (one, a) in enumerate(kinds.items()):
        for j, (other, b) in enumerate(kinds.items()):
            cosines = (a @ b.T).double().numpy()
            n = len(cosines)
            off = (cosines.sum(axis=1) - np.diag(cosines)) / (n - 1)
            figure = figures[one, other] = mean(np.diag(cosines) - off, "emotions")
            matrix[i, j] = figure.value
            rows.append(
                {
                    "one": one,
                    "other": other,
                    "beyond other emotions": figure.value,
                    "low": figure.low,
                    "high": figure.high,
                }
            )
    return Table.of("kinds", rows), matrix, figures


def _regulation(lab: Lab, dialogues: Sequence[object]) -> Table:
    """Does the shipped assistant's valence and arousal answer the user's? (Of the texts, paper 6.3: 0.07,
    -0.47.)"""
    rows = []
    for axis in ("valence", "arousal"):
        places, ratings = lab.norms_of(axis)
        known = {lab.names[i]: value for i, value in zip(places, ratings, strict=True)}
        weight = axis_weights(lab.names, known)
        if weight is None:
            continue
        scores = dict(zip(lab.names, _scores(lab, weight), strict=True))
        pairs = np.array([(scores[d.user], scores[d.assistant]) for d in dialogues])  # type: ignore[attr-defined]
        figure = statistic(_pair_r(pairs), len(pairs), "dialogues")
        rows.append({"axis": axis, "r": figure.value, "low": figure.low, "high": figure.high, "n": figure.n})
    return Table.of("regulation", rows)


def _scores(lab: Lab, weight: np.ndarray) -> Float[np.ndarray, " emotions"]:
    units = lab.units().double().numpy()
    direction = weight @ units
    scores: np.ndarray = units @ direction
    return scores


def _pair_r(pairs: Float[np.ndarray, "dialogues 2"]) -> Callable[[np.ndarray], float]:
    return lambda drawn: float(np.corrcoef(pairs[drawn, 0], pairs[drawn, 1])[0, 1])
