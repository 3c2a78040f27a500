"""Study 9 (paper 6.1 to 6.3): whose emotion is it? Present- and other-speaker vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Heatmap
from torch import Tensor

from affekt.concepts.shipped import TwoEmotions, two_emotions
from affekt.concepts.shipped import stories as shipped_stories
from affekt.concepts.text import plain
from affekt.quality.bootstrap import gain, mean
from affekt.quality.figure import Figure
from affekt.reading.sheet import BLUE, RED
from affekt.studies.agreement import Words, alike, own_above_others
from affekt.studies.lab import Lab
from affekt.studies.regulation import regulation
from affekt.studies.result import Check, Drawn, Result, Table, by_sign
from affekt.vectors.collect import role_tokens
from affekt.vectors.directions import unit

__all__ = ["KINDS", "speakers"]

KINDS = {
    "present, assistant's turns": ("assistant", "assistant"),
    "present, user's turns": ("user", "user"),
    "other, assistant's turns": ("user", "assistant"),
    "other, user's turns": ("assistant", "user"),
}
"""Kind of vector -> whose emotion it is made by, and on whose tokens it is made."""

STORIES = "stories"

PRESENT_A, PRESENT_U, OTHER_A, OTHER_U = KINDS


def speakers(lab: Lab) -> Result:
    """Vectors of the speaker's own and of the other's emotion, from 171 dialogues of two emotions; each word
    is shown once by each side, so a vector rests on one dialogue."""
    dialogues = [d for d in two_emotions() if d.user in lab.names and d.assistant in lab.names]
    names = [n for n in lab.names if n in {d.user for d in dialogues} & {d.assistant for d in dialogues}]
    vectors = _vectors(lab, dialogues, names)
    words = Words(_texts(dialogues, names))
    cosines = {(a, b): (vectors[a] @ vectors[b].T).double().numpy() for a in vectors for b in vectors}
    said = {(a, b): words.cosines(a, b) for a in vectors for b in vectors}
    model = {pair: own_above_others(c) for pair, c in cosines.items()}
    plainly = {pair: own_above_others(c) for pair, c in said.items()}
    table = Table.of(
        "kinds",
        [
            _row(pair, model[pair], plainly[pair])
            | {
                "cosine of the same emotion": float(np.diag(cosines[pair]).mean()),
                "cosine of others": float(cosines[pair][~np.eye(len(names), dtype=bool)].mean()),
                "r of the two matrices of cosines": alike(
                    cosines[pair[0], pair[0]], cosines[pair[1], pair[1]]
                ),
                "r of those of words": alike(said[pair[0], pair[0]], said[pair[1], pair[1]]),
            }
            for pair in cosines
        ],
    )
    checks = _checks(model, plainly)
    evoked, regulated = regulation(lab, names, cosines[OTHER_A, PRESENT_A], said[OTHER_A, PRESENT_A])
    same, crossed = (mean(model[pair], "emotions") for pair in ((PRESENT_A, PRESENT_U), (PRESENT_A, OTHER_A)))
    spoken = mean(plainly[PRESENT_A, PRESENT_U], "emotions")
    return Result(
        "speakers",
        "Whose emotion is it?",
        f"A vector of the speaker's own emotion, made on the assistant's turns, is nearer to that of the "
        f"same emotion on the user's turns than {same} of the other emotions are (0.5 by chance; words alone "
        f"{spoken}); a vector of the other's emotion is by {crossed}.",
        (table, evoked),
        (
            Drawn(
                "kinds",
                _heat(list(vectors), model),
                "Share of other emotions that are farther from an emotion than itself in another kind of "
                "vectors; 0.5 is chance. One dialogue a word: a figure near 0.5 may be noise of the vectors, "
                "and one above it may be the words that dialogues of one emotion share (table, beside it).",
            ),
        ),
        (*checks, *regulated),
        (
            f"{len(dialogues)} dialogues, {len(names)} emotions, one dialogue for each word and side, all on "
            f"different topics; vectors at layer {lab.vectors.read_layer}, means over a role's turns less "
            "the mean over emotions. More dialogues (`affekt corpus write`) would make them less noisy.",
            "Control: the same comparison by the words alone (TF-IDF of words, pairs of words, characters). "
            "A random network agrees no better than the words do, so only what goes beyond them counts.",
        ),
    )


def _vectors(lab: Lab, dialogues: Sequence[TwoEmotions], names: Sequence[str]) -> dict[str, Tensor]:
    layer = lab.vectors.read_layer
    rows = {role: _residuals(lab, dialogues, role, layer) for role in ("assistant", "user")}
    kinds = {STORIES: lab.units()[[lab.names.index(name) for name in names]]}
    for kind, (whose, where) in KINDS.items():
        own = {getattr(d, whose): i for i, d in enumerate(dialogues)}
        chosen = rows[where][[own[name] for name in names]]
        kinds[kind] = unit(chosen - chosen.mean(dim=0))
    return kinds


def _texts(dialogues: Sequence[TwoEmotions], names: Sequence[str]) -> dict[str, list[str]]:
    """The words that each kind of vector was made on."""
    told: dict[str, list[str]] = {name: [] for name in names}
    for text in shipped_stories():
        if text.concept in told:
            told[text.concept].append(plain(text.body))
    texts = {STORIES: [" ".join(told[name]) for name in names]}
    for kind, (whose, where) in KINDS.items():
        own = {getattr(d, whose): d for d in dialogues}
        texts[kind] = [
            " ".join(str(m["content"]) for m in own[name].messages if m["role"] == where) for name in names
        ]
    return texts


def _residuals(
    lab: Lab, dialogues: Sequence[TwoEmotions], role: str, layer: int
) -> Float[Tensor, "dialogues d_model"]:
    out = torch.zeros(len(dialogues), lab.model.identity.d_model)
    chats = [d.messages for d in dialogues]
    for done, one in enumerate(lab.engine().collect(chats, [layer], role_tokens(role)), 1):
        out[one.index] = one.values[0, 0]
        lab.told(f"speakers, {role}", done, len(chats))
    return out


def _row(pair: tuple[str, str], model: np.ndarray, said: np.ndarray) -> dict[str, object]:
    figure, control, beyond = mean(model, "emotions"), mean(said, "emotions"), gain(model, said, "emotions")
    return {
        "one": pair[0],
        "other": pair[1],
        "own above others": figure.value,
        "low": figure.low,
        "high": figure.high,
        "words alone": control.value,
        "beyond words": beyond.value,
        "beyond words, low": beyond.low,
        "beyond words, high": beyond.high,
        "n": figure.n,
    }


def _checks(model: dict[tuple[str, str], np.ndarray], said: dict[tuple[str, str], np.ndarray]) -> list[Check]:
    def beyond(*pair: str) -> Figure:
        return gain(model[pair[0], pair[1]], said[pair[0], pair[1]], "emotions")

    def apart(one: tuple[str, str], other: tuple[str, str]) -> Figure:
        return gain(model[one] - model[other], said[one] - said[other], "emotions")

    return [
        by_sign(
            "present speaker, both roles: same emotion nearer than others, beyond the words",
            "high, shared by both roles",
            "cosine 0.54, 0.45; 0.15",
            beyond(PRESENT_A, PRESENT_U),
        ),
        by_sign(
            "other speaker, both roles: same emotion nearer than others, beyond the words",
            "high, shared by both roles",
            "always `loving` on one",
            beyond(OTHER_A, OTHER_U),
        ),
        by_sign(
            "present and other speaker are farther apart than present and present, beyond the words",
            "nearly orthogonal",
            "0.15, 0.13 against 0.54, 0.45",
            apart((PRESENT_A, PRESENT_U), (PRESENT_A, OTHER_A)),
        ),
        by_sign(
            "present-speaker vectors lie along story vectors, beyond the words",
            "R² 0.66",
            "–",
            beyond(STORIES, PRESENT_A),
        ),
        by_sign(
            "story vectors are nearer to the present than to the other speaker's, beyond the words",
            "yes",
            "–",
            apart((STORIES, PRESENT_A), (STORIES, OTHER_A)),
        ),
    ]


def _heat(labels: list[str], model: dict[tuple[str, str], np.ndarray]) -> Drawing:
    shares = np.array([[model[a, b].mean() for b in labels] for a in labels])
    chart = Drawing(
        Heatmap(
            z=np.round(shares, 3),
            x=labels,
            y=labels,
            zmid=0.5,
            zmin=0,
            zmax=1,
            texttemplate="%{z:.2f}",
            colorscale=[[0, BLUE], [0.5, "rgba(138,136,128,.15)"], [1, RED]],
        )
    )
    chart.update_layout(height=420)
    return chart
