"""Study 10 (paper 6.4, 6.5): an emotion that is felt and not shown."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from torch import Tensor

from affekt.concepts.shipped import Deflection
from affekt.concepts.shipped import deflection as scenes
from affekt.quality.bootstrap import mean, share
from affekt.quality.figure import Figure
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Result, Table, by_sign
from affekt.vectors.collect import from_token
from affekt.vectors.directions import unit

__all__ = ["deflection"]

FOLDS = 5


def deflection(lab: Lab) -> Result:
    """Vectors of the felt and of the shown emotion from 210 scenes of 15 x 14 ordered pairs; how much of the
    felt ones lies outside the space of story vectors; and whether the felt emotion is read at all, from the
    turns of who hides it without the preamble that names it."""
    found = list(scenes())
    names = sorted({scene.felt for scene in found})
    layer = lab.vectors.read_layer
    whole, bare = (_residuals(lab, found, layer, preamble) for preamble in (True, False))
    felt, shown = (
        np.array([names.index(getattr(scene, side)) for scene in found]) for side in ("felt", "shown")
    )
    vectors = {
        side: _vectors(whole, labels, len(names)) for side, labels in (("felt", felt), ("shown", shown))
    }
    story = lab.units()[[lab.names.index(name) for name in names]]
    left = _outside(vectors["felt"], lab.units())
    alike = _beyond((vectors["felt"] @ story.T).double().numpy())
    masks = _beyond((vectors["shown"] @ story.T).double().numpy())
    read = {
        (side, place): _decoded(rows.double().numpy(), labels, other)
        for place, rows in (("with preamble", whole), ("turns only", bare))
        for side, labels, other in (("felt", felt, shown), ("shown", shown, felt))
    }
    chance = 1 / len(names)
    rows = [
        {"emotion": side, "text": place, "accuracy": f.value, "low": f.low, "high": f.high, "chance": chance}
        for (side, place), f in read.items()
    ]
    checks = [
        Check(
            "length of felt-not-shown vectors left outside 99 % of story space",
            "≈ 80 %",
            "96 %",
            str(left),
            "lower end of at least 0.5",
            "reproduced" if left.low >= 0.5 else "not reproduced",
        ),
        by_sign(
            "felt-not-shown vectors lie along the story vectors of the felt emotion",
            "cosines small",
            "0.24",
            alike,
        ),
        _above(
            "the felt emotion is read in the turns alone",
            read["felt", "turns only"],
            chance,
            "0.71-0.83, chance lower",
        ),
        _above(
            "the shown emotion is read in the turns alone", read["shown", "turns only"], chance, "0.71-0.83"
        ),
    ]
    return Result(
        "deflection",
        "Is an emotion read that is felt and not shown?",
        f"From the turns alone the felt emotion is named in {read['felt', 'turns only']} of the scenes, the "
        "shown one in "
        f"{read['shown', 'turns only']}; chance is {chance:.2f}.",
        (
            Table.of("decoding", rows),
            Table.of(
                "vectors",
                [
                    {"emotion": name, "left outside story space": float(part)}
                    for name, part in zip(names, _parts(vectors["felt"], lab.units()), strict=True)
                ],
            ),
        ),
        (),
        tuple(checks),
        (
            f"{len(found)} scenes, {len(names)} emotions, {len(found) // len(names)} scenes for each. "
            "Decoding: logistic "
            f"regression in {FOLDS} folds; no fold's scenes share the other emotion with those it is fitted "
            "on, so that "
            "the shown emotion cannot stand in for the felt one.",
            f"Shown vectors lie along their story vectors by {masks} beyond other emotions.",
            "One hand wrote every scene. A chronic state (paper 6.5) would have to be found in natural "
            "text, which is not "
            "shipped: that sweep is not part of this study.",
        ),
    )


def _text(scene: Deflection, preamble: bool) -> str:
    lines = [f"{turn.speaker}: {turn.text}" for turn in scene.turns]
    return "\n".join([scene.preamble, *lines] if preamble else lines)


def _residuals(
    lab: Lab, found: list[Deflection], layer: int, preamble: bool
) -> Float[Tensor, "scenes d_model"]:
    texts = [_text(scene, preamble) for scene in found]
    out = torch.zeros(len(found), lab.model.identity.d_model)
    for done, one in enumerate(lab.engine().collect(texts, [layer], from_token(1)), 1):
        out[one.index] = one.values[0, 0]
        lab.told(f"deflection, {'whole' if preamble else 'turns'}", done, len(found))
    return out


def _vectors(
    rows: Float[Tensor, "scenes d_model"], labels: np.ndarray, kinds: int
) -> Float[Tensor, "emotions d_model"]:
    centres = torch.stack([rows[torch.tensor(labels == kind)].mean(dim=0) for kind in range(kinds)])
    return unit(centres - centres.mean(dim=0))


def _parts(vectors: Float[Tensor, "emotions d_model"], story: Float[Tensor, "stories d_model"]) -> np.ndarray:
    """Share of each vector's length outside the components that hold 99 % of the story vectors' variance."""
    _, size, basis = torch.linalg.svd(story.double(), full_matrices=False)
    part = (size**2).cumsum(0) / (size**2).sum()
    kept = basis[: int((part < 0.99).sum()) + 1]
    rest = vectors.double() - vectors.double() @ kept.T @ kept
    lengths: np.ndarray = rest.norm(dim=-1).numpy()
    return lengths


def _outside(vectors: Float[Tensor, "emotions d_model"], story: Float[Tensor, "stories d_model"]) -> Figure:
    return mean(_parts(vectors, story), "emotions")


def _beyond(cosines: Float[np.ndarray, "emotions emotions"]) -> Figure:
    n = len(cosines)
    off = (cosines.sum(axis=1) - np.diag(cosines)) / (n - 1)
    return mean(np.diag(cosines) - off, "emotions")


def _decoded(rows: Float[np.ndarray, "scenes d_model"], labels: np.ndarray, other: np.ndarray) -> Figure:
    hits = np.zeros(len(labels))
    for train, test in GroupKFold(FOLDS).split(rows, labels, other):
        middle, spread = rows[train].mean(axis=0), rows[train].std(axis=0) + 1e-9
        fit = LogisticRegression(C=0.01, max_iter=500).fit((rows[train] - middle) / spread, labels[train])
        hits[test] = fit.predict((rows[test] - middle) / spread) == labels[test]
    return share(hits, "scenes")


def _above(what: str, figure: Figure, chance: float, paper: str) -> Check:
    verdict = (
        "reproduced" if figure.low > 2 * chance else "partly" if figure.low > chance else "not reproduced"
    )
    rule = f"lower end above twice chance ({2 * chance:.2f}); partly: above chance"
    return Check(what, paper, "–", str(figure), rule, verdict)  # type: ignore[arg-type]
