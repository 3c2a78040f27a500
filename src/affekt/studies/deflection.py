"""Study 10 (paper 6.4, 6.5): an emotion that is felt and not shown, and whether anything of it lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from plotly.graph_objects import Bar
from plotly.graph_objects import Figure as Drawing
from torch import Tensor

from affekt.concepts.dialogues import Deflection
from affekt.concepts.shipped import stories
from affekt.concepts.text import plain
from affekt.quality.bootstrap import gain, mean, share
from affekt.quality.figure import Figure
from affekt.reading.sheet import BLUE, GREY
from affekt.steering.control import random_directions
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, unjudged
from affekt.studies.space.agreement import Words, own_above_others
from affekt.studies.space.denoise import denoised
from affekt.studies.speaking.anger import anger, angers
from affekt.studies.speaking.chronic import chronic, decoded
from affekt.studies.speaking.scenes import hidden, said, whole
from affekt.studies.speaking.wordy import rows_of_words
from affekt.vectors.directions import unit

__all__ = ["deflection", "outside"]

Hits: TypeAlias = dict[tuple[str, str], np.ndarray]
"""Side and place -> whether each scene was named right."""

ANGRY = "angry"
"""Read on messages that provoke."""

LITTLE = 0.3
"""Mean cosine under which vectors have little of others."""

SPACE = 0.99
"""Share of the story vectors' variance that counts as their space (paper 6.4)."""


def deflection(lab: Lab) -> Result:
    """Vectors of the felt and of the shown emotion from the hider's own turns in scenes (210 are shipped);
    how much of them lies outside the story vectors; whether the felt emotion is read; anger that is not shown
    on messages that provoke it; and the search for a lasting state."""
    names = sorted({scene.felt for scene in lab.scenes} & {scene.shown for scene in lab.scenes})
    found = [scene for scene in lab.scenes if scene.felt in names and scene.shown in names]
    felt, shown = (np.array([names.index(getattr(s, side)) for s in found]) for side in ("felt", "shown"))
    rows = {"situation told": hidden(lab, found, True), "turns alone": hidden(lab, found, False)}
    vectors = {
        side: denoised(lab, _vectors(rows["situation told"], labels, len(names)))
        for side, labels in (("felt", felt), ("shown", shown))
    }
    story = lab.units()[[lab.names.index(name) for name in names]]
    random = outside(random_directions(200, lab.model.identity.d_model, 0), lab.units())
    left = {side: outside(v, lab.units()) for side, v in vectors.items()}
    own = {side: own_above_others((v @ story.T).double().numpy()) for side, v in vectors.items()}
    cosine = mean((vectors["felt"] * story).sum(-1).double().numpy(), "emotions")
    words = _words(found, names, felt)
    provoked = _provoked(lab, names, story, vectors["felt"])
    reads, control = _reads(rows, found, felt, shown)
    chance = 1 / len(names)
    lasting = chronic(lab, names, rows["turns alone"].double().numpy(), felt, [s.shown for s in found])
    of_felt = reads["felt", "turns alone"]
    drawn = {"felt": _Drawn(felt, len(names)), "shown": _Drawn(shown, len(names))}
    told = drawn["felt"].gain(of_felt, control["felt", "turns alone"])
    return Result(
        "deflection",
        "Is an emotion read that is felt and not shown, and does it last?",
        f"From the hider's turns alone the felt emotion is named in {drawn['felt'].share(of_felt)} of scenes "
        f"(words "
        f"alone {control['felt', 'turns alone'].mean():.2f}), the shown one in "
        f"{drawn['shown'].share(reads['shown', 'turns alone'])}; chance is {chance:.2f}. {lasting.said}",
        (
            _decoding(reads, control, drawn, chance),
            _table(names, vectors, story, left),
            *lasting.tables,
            *(part for part in provoked if isinstance(part, Table)),
        ),
        (
            Drawn(
                "outside",
                _bars(names, left["felt"], float(random.mean())),
                "Length of each felt-not-shown vector left when the space of the story vectors is taken "
                "away. "
                "Dotted: random directions, of which most lies outside any small space. A bar near the "
                "dotted "
                "line says no more than that the vector is not a story vector.",
            ),
            *(part for part in provoked if isinstance(part, Drawn)),
        ),
        (
            _apart(mean(left["felt"], "emotions"), mean(random, "directions")),
            _little(cosine, gain(own["felt"], words, "emotions"), told),
            *(
                by_sign(
                    f"the {side} emotion is read in the hider's turns ({place}), beyond the words",
                    paper,
                    "–",
                    drawn[side].gain(reads[side, place], control[side, place]),
                )
                for side, place, paper in (
                    ("felt", "turns alone", "0.76, hidden condition"),
                    ("shown", "turns alone", "–"),
                    ("felt", "situation told", "0.76, hidden condition"),
                )
            ),
            *(part for part in provoked if isinstance(part, Check)),
            *lasting.checks,
        ),
        (
            f"{len(found)} scenes of {len(names)} emotions, about {len(found) // len(names)} for each felt "
            "and each shown one; the shipped ones are by one hand. Vectors: mean over the hider's own turns, "
            "the situation in the context and not averaged, less the mean over emotions, neutral components "
            "removed.",
            "Decoding: logistic regression in 5 folds; no fold shares the other emotion with those it is "
            "fitted on, so that the shown emotion cannot stand in for the felt one. Control: the same on the "
            "words (TF-IDF) that the model has read. Intervals are over emotions, whose scenes are drawn "
            "together: those that share one are not independent.",
            "Of the paper's five conditions two are shipped (expressed, hidden). The sweep is over dialogues "
            "without emotion, passages of books and documents, and messages that imply an emotion.",
            "Anger: 33 messages, replies of the model's own; of the vectors of what is felt and not shown, "
            "anger's own, and the same outside the space of the stories.",
        ),
    )


@dataclass(frozen=True)
class _Drawn:
    """Intervals over the emotions that are to be named, each with all of its scenes."""

    labels: Int[np.ndarray, " scenes"]
    """The emotion of each scene."""
    emotions: int
    """How many there are."""

    def share(self, hits: Float[np.ndarray, " scenes"]) -> Figure:
        """The share that is named right."""
        return share(hits, self._of, self._groups)

    def gain(self, one: Float[np.ndarray, " scenes"], other: Float[np.ndarray, " scenes"]) -> Figure:
        """How much more of them one names right than the other."""
        return gain(one, other, self._of, self._groups)

    @property
    def _of(self) -> str:
        return f"scenes, drawn by emotion ({self.emotions})"

    @property
    def _groups(self) -> list[str]:
        return [str(label) for label in self.labels]


def outside(
    vectors: Float[Tensor, "rows d_model"], story: Float[Tensor, "stories d_model"]
) -> Float[np.ndarray, " rows"]:
    """Share of each unit vector's length outside the components that hold `SPACE` of the story vectors'
    variance."""
    lengths: Float[np.ndarray, " rows"] = _rest(vectors, story).norm(dim=-1).numpy()
    return lengths


def _rest(
    vectors: Float[Tensor, "rows d_model"], story: Float[Tensor, "stories d_model"]
) -> Float[Tensor, "rows d_model"]:
    """What is left of vectors outside the space of the stories."""
    _, size, basis = torch.linalg.svd(story.double(), full_matrices=False)
    part = (size**2).cumsum(0) / (size**2).sum()
    kept = basis[: int((part < SPACE).sum()) + 1]
    rest: Tensor = vectors.double() - vectors.double() @ kept.T @ kept
    return rest


def _provoked(
    lab: Lab, names: Sequence[str], story: Tensor, hidden: Tensor
) -> tuple[Table, Drawn, Check] | tuple[Check]:
    if ANGRY not in names:
        return (
            unjudged("anger not shown is read in replies to attacks", "yes", "–", f"no `{ANGRY}` scenes"),
        )
    at = names.index(ANGRY)
    return anger(lab, angers(story[at], hidden, at, _rest(hidden, lab.units()).float()))


def _vectors(
    rows: Float[Tensor, "scenes d_model"], labels: Int[np.ndarray, " scenes"], kinds: int
) -> Float[Tensor, "emotions d_model"]:
    centres = torch.stack([rows[torch.tensor(labels == kind)].mean(dim=0) for kind in range(kinds)])
    return unit(centres - centres.mean(dim=0))


def _words(
    found: Sequence[Deflection], names: Sequence[str], felt: Int[np.ndarray, " scenes"]
) -> Float[np.ndarray, " emotions"]:
    """The same agreement by words: of the hiders' turns of each felt emotion with the stories of each."""
    turns = [" ".join(said(s) for s, k in zip(found, felt, strict=True) if k == i) for i in range(len(names))]
    told = [" ".join(plain(t.body) for t in stories() if t.concept == name) for name in names]
    return own_above_others(Words({"felt": turns, "stories": told}).cosines("felt", "stories"))


def _reads(
    rows: Mapping[str, Tensor],
    found: Sequence[Deflection],
    felt: Int[np.ndarray, " scenes"],
    shown: Int[np.ndarray, " scenes"],
) -> tuple[Hits, Hits]:
    """Hits of every side and place, and of the words that the model had before it there."""
    reads: Hits = {}
    control: Hits = {}
    for place, held in rows.items():
        texts = [whole(s, True) if place == "situation told" else said(s) for s in found]
        for side, labels, other in (("felt", felt, shown), ("shown", shown, felt)):
            reads[side, place], _ = decoded(held.double().numpy(), labels, list(other))
            control[side, place], _ = decoded(rows_of_words(texts), labels, list(other))
    return reads, control


def _decoding(reads: Hits, control: Hits, drawn: Mapping[str, _Drawn], chance: float) -> Table:
    rows = []
    for (side, place), hits in reads.items():
        figure, plainly = drawn[side].share(hits), drawn[side].share(control[side, place])
        rows.append(
            {
                "emotion": side,
                "text": place,
                "accuracy": figure.value,
                "low": figure.low,
                "high": figure.high,
                "words alone": plainly.value,
                "chance": chance,
                "n": figure.n,
            }
        )
    return Table.of("decoding", rows)


def _table(
    names: Sequence[str], vectors: Mapping[str, Tensor], story: Tensor, left: Mapping[str, np.ndarray]
) -> Table:
    cosines = {side: (v @ story.T).double().numpy() for side, v in vectors.items()}
    return Table.of(
        "vectors",
        [
            {
                "emotion": name,
                "felt: left outside story space": float(left["felt"][i]),
                "shown: left outside story space": float(left["shown"][i]),
                "felt: cosine with its story vector": float(cosines["felt"][i, i]),
                "felt: nearest story vector": names[int(cosines["felt"][i].argmax())],
                "shown: cosine with its story vector": float(cosines["shown"][i, i]),
                "shown: nearest story vector": names[int(cosines["shown"][i].argmax())],
            }
            for i, name in enumerate(names)
        ],
    )


def _apart(left: Figure, random: Figure) -> Check:
    rule = "lower end of at least 0.5, and below random directions; partly: not below them"
    here = f"{left}; random directions {random.value:.2f}"
    verdict = "not reproduced" if left.low < 0.5 else "reproduced" if left.high < random.low else "partly"
    what = f"length of felt-not-shown vectors left outside {SPACE:.0%} of story space"
    return Check(what, "≈ 80 %", "96 %", here, rule, verdict, 17)  # type: ignore[arg-type]


def _little(cosine: Figure, along: Figure, told: Figure) -> Check:
    """Any noise is far from the story vectors; so the felt emotion must be read where these are made."""
    little = cosine.high < LITTLE
    return Check(
        "felt-not-shown vectors have little of the story vector of the same emotion",
        "cosines very low (figure 61)",
        "0.24",
        f"mean cosine {cosine}; nearer to its own story vector than words are by {along}",
        f"upper end under {LITTLE:g}, and the felt emotion is read in the hider's turns beyond the words",
        "reproduced" if little and told.low > 0 else "not reproduced",
    )


def _bars(names: Sequence[str], left: Float[np.ndarray, " emotions"], random: float) -> Drawing:
    chart = Drawing(Bar(x=list(names), y=np.round(left, 4), marker_color=BLUE))
    chart.add_hline(random, line={"color": GREY, "dash": "dot"})
    chart.update_layout(yaxis_title="length left", yaxis_range=[0, 1], height=360)
    return chart
