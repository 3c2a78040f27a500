"""Study 9 (paper 6.1 to 6.3): whose emotion is it? Present- and other-speaker vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from affekt.concepts.dialogues import TwoEmotions
from affekt.concepts.shipped import stories as shipped_stories
from affekt.concepts.text import plain
from affekt.quality.bootstrap import gain, mean
from affekt.quality.figure import Figure
from affekt.studies.heat import heat
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign
from affekt.studies.space.agreement import Words, alike, own_above_others
from affekt.studies.speaking.probes import probes
from affekt.studies.speaking.reacting import reacting
from affekt.studies.speaking.regulation import regulation
from affekt.studies.speaking.turns import KINDS, OTHER_A, OTHER_U, PRESENT_A, PRESENT_U, by_emotion, of_turns
from affekt.vectors.directions import unit

__all__ = ["speakers"]

STORIES = "stories"


def speakers(lab: Lab) -> Result:
    """Vectors of the speaker's own and of the other's emotion, from dialogues of two emotions; in the 171
    shipped ones each word is shown once by each side."""
    dialogues = lab.dialogues
    sides = {role: Counter(getattr(d, role) for d in dialogues) for role in ("user", "assistant")}
    names = [n for n in lab.names if all(n in side for side in sides.values())]
    fewest = min((side[n] for side in sides.values() for n in names), default=0)
    rows = of_turns(lab, dialogues, lab.vectors.layers)
    made = by_emotion(rows, dialogues, names)
    read = lab.vectors.place(lab.vectors.read_layer)
    vectors = {STORIES: lab.units()[[lab.names.index(name) for name in names]]}
    vectors |= {kind: unit(own[read]) for kind, own in made.items()}
    texts = _texts(dialogues, names)
    words = Words(texts)
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
    near, regulated = regulation(lab, dialogues, *_turns(rows["assistant"][read], dialogues))
    reading, read_alike = probes(
        lab, vectors[STORIES], vectors[PRESENT_A], names, (texts[STORIES], texts[PRESENT_A])
    )
    steered = reacting(lab, made, names)
    same, crossed = (mean(model[pair], "emotions") for pair in ((PRESENT_A, PRESENT_U), (PRESENT_A, OTHER_A)))
    spoken = mean(plainly[PRESENT_A, PRESENT_U], "emotions")
    shares = np.array([[model[a, b].mean() for b in vectors] for a in vectors])
    return Result(
        "speakers",
        "Whose emotion is it?",
        f"A vector of the speaker's own emotion, made on the assistant's turns, is nearer to that of the "
        f"same emotion on the user's turns than {same} of the other emotions are (0.5 by chance; words alone "
        f"{spoken}); a vector of the other's emotion is by {crossed}.",
        (table, *reading, near, *steered.tables),
        (
            Drawn(
                "kinds",
                heat(shares, list(vectors), list(vectors), digits=2, height=420, zmid=0.5, zmin=0, zmax=1),
                "Share of other emotions that are farther from an emotion than itself in another kind of "
                "vectors; 0.5 is chance. Of few dialogues: a figure near 0.5 may be noise of the vectors, "
                "and one above it may be the words that dialogues of one emotion share (table, beside it).",
            ),
            *steered.drawn,
        ),
        (*checks, read_alike, *regulated, *steered.checks),
        (
            f"{len(dialogues)} dialogues, {len(names)} emotions, at least {fewest} for each word and side; "
            f"vectors at layer {lab.vectors.read_layer}, means over a role's turns less the mean over "
            "emotions. More dialogues (`affekt corpus write two_emotions`, then --dialogues) would make them "
            "less noisy.",
            "Control: the same comparison by the words alone (TF-IDF of words, pairs of words, characters). "
            "A random network agrees no better than the words do, so only what goes beyond them counts.",
            "Vectors of one's own and of the other's emotion on the same turns are means of the same "
            "residuals, ordered by the one emotion or the other: those of one dialogue can be the same "
            "vector, in vectors and words alike. Regulation takes the other's emotions from dialogues of "
            "which people have rated the user's emotion alone, one's own from those of which they have rated "
            "the assistant's alone, and is held against shuffles of either side's emotions over dialogues.",
            "Story and present-speaker probes are read by cosine at the end of the prompt of the shipped "
            "implicit messages; R² of any two probes is large where residuals vary along few directions.",
            "Steering by them: neutral components are not removed, and an emotion's vector is of as few "
            "dialogues as said above.",
        ),
    )


def _texts(dialogues: Sequence[TwoEmotions], names: Sequence[str]) -> dict[str, list[str]]:
    """The words that each kind of vector was made on."""
    told: dict[str, list[str]] = {name: [] for name in names}
    for text in shipped_stories():
        if text.concept in told:
            told[text.concept].append(plain(text.body))
    texts = {STORIES: [" ".join(told[name]) for name in names]}
    for kind, (whose, where) in KINDS.items():
        texts[kind] = [
            " ".join(
                str(m["content"])
                for d in dialogues
                if getattr(d, whose) == name
                for m in d.messages
                if m["role"] == where
            )
            for name in names
        ]
    return texts


def _turns(
    rows: Float[Tensor, "dialogues d_model"], dialogues: Sequence[TwoEmotions]
) -> tuple[Float[np.ndarray, "dialogues dialogues"], Float[np.ndarray, "dialogues dialogues"]]:
    """Inner products of the assistant's turns less their mean: of the residuals, and of the words."""
    apart = (rows - rows.mean(dim=0)).double()
    texts = [" ".join(str(m["content"]) for m in d.messages if m["role"] == "assistant") for d in dialogues]
    return (apart @ apart.T).numpy(), Words({"turns": texts}).cosines("turns", "turns")


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
            "always “loving” on one",
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
            row=15,
        ),
        by_sign(
            "story vectors are nearer to the present than to the other speaker's, beyond the words",
            "yes",
            "–",
            apart((STORIES, PRESENT_A), (STORIES, OTHER_A)),
            row=15,
        ),
    ]
