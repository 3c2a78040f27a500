"""Planted agreement is found, none gives chance, and words alone are told from what goes beyond them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from affekt.concepts.dialogues import TwoEmotions
from affekt.studies import Lab
from affekt.studies import speakers as study
from affekt.studies.agreement import Words, alike, own_above_others
from affekt.studies.regulation import regulation, shared, weights
from affekt.studies.turns import OTHER_A, PRESENT_A, by_emotion
from affekt.vectors.directions import unit
from tests.studies.small import lab


def units(seed: int, n: int = 40, d: int = 64) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_own_above_others() -> None:
    one, other = units(0), units(1)
    assert (own_above_others(one @ one.T) == 1).all()
    assert abs(own_above_others(one @ other.T).mean() - 0.5) < 0.1
    planted = one + 0.5 * other
    assert own_above_others(one @ planted.T).mean() > 0.95
    assert (own_above_others(np.ones((5, 5))) == 0.5).all()
    assert (own_above_others(-np.eye(5)) == 0).all()


def test_words_are_compared_as_vectors_are() -> None:
    fear = ["the door shook and I ran", "the cake was sweet and warm", "the boss shouted at me again"]
    same = ["a door shook so we ran", "such a sweet warm cake", "my boss shouted once more"]
    none = ["tin", "wax", "oak"]
    words = Words({"one": fear, "other": same, "none": none})
    assert own_above_others(words.cosines("one", "other")).mean() == 1
    assert np.allclose(np.diag(words.cosines("one", "one")), 1)
    assert np.allclose(words.cosines("one", "none"), words.cosines("none", "one").T)
    assert np.abs(words.cosines("one", "none")).max() < 0.4
    assert alike(words.cosines("one", "one"), words.cosines("one", "one")) == pytest.approx(1)


def turns(seed: int, plant: float = 0.0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, cosines of other-speaker with present-speaker vectors on the assistant's turns, and the pairs
    left out, of residuals that are noise and, times `plant`, one's own arousal less the other's."""
    here = lab()
    dialogues, names = here.dialogues, here.names
    places, rated = here.norms_of("arousal")
    arousal = np.zeros(len(names))
    arousal[places] = (rated - rated.mean()) / rated.std()
    at = {side: [names.index(getattr(d, side)) for d in dialogues] for side in ("user", "assistant")}
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(len(dialogues), 64))
    rows[:, 0] += plant * (arousal[at["assistant"]] - arousal[at["user"]])
    held = torch.tensor(rows, dtype=torch.float32)[None]
    made = by_emotion({"assistant": held, "user": held}, dialogues, names)
    cosines = (unit(made[OTHER_A][0]) @ unit(made[PRESENT_A][0]).T).double().numpy()
    return names, cosines, shared(dialogues, names)


def test_regulation_is_not_found_in_noise() -> None:
    """Vectors on the same turns share residuals; that must not look like regulation."""
    places, own = lab().norms_of("arousal")
    at = np.ix_(places, places)
    found, verdicts = [], []
    for seed in range(160):
        names, cosines, out = turns(seed)
        near = weights(cosines[at], out[at], True) @ own
        found.append(np.corrcoef(near, own)[0, 1])
        if seed < 6:
            words = units(seed, 171) @ units(seed + 99, 171).T
            verdicts.append(regulation(lab(), names, cosines, words, out)[1][1].verdict)
    assert np.allclose(cosines[out & ~np.eye(len(names), dtype=bool)], 1, atol=1e-5)
    assert abs(np.mean(found)) < 0.05
    assert set(verdicts) == {"not reproduced"}


def test_regulation_that_is_planted_is_found() -> None:
    names, cosines, out = turns(0, plant=6.0)
    noise = units(1, 171) @ units(2, 171).T
    table, checks = regulation(lab(), names, cosines, noise, out)
    assert [check.verdict for check in checks] == ["not measured", "reproduced"]
    assert len(table.columns["r"]) == 2 * 2 * 2
    # What the words do as well is not the model's.
    assert regulation(lab(), names, cosines, cosines, out)[1][1].verdict == "partly"
    assert regulation(lab(), names, noise, cosines, out)[1][1].verdict == "not reproduced"
    everything = np.ones_like(out)
    assert {c.verdict for c in regulation(lab(), names, cosines, noise, everything)[1]} == {"not measured"}


def test_what_is_left_out_weighs_nothing() -> None:
    out = np.eye(6, dtype=bool)
    out[0, 3] = True
    for clip in (True, False):
        taken = weights(units(0, 6) @ units(1, 6).T, out, clip)
        assert (taken[out] == 0).all() and np.allclose(taken.sum(axis=1), 0)


def test_speakers_whose_emotion_is_planted_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Residuals that hold the speaker's own emotion and not the other's, in a way that words do not."""
    here = lab()
    units_of = here.units()

    def of_role(dialogues: Sequence[TwoEmotions], role: str) -> torch.Tensor:
        own = [here.names.index(getattr(d, role)) for d in dialogues]
        noise = torch.randn(len(own), units_of.shape[1], generator=torch.Generator().manual_seed(len(role)))
        return 3 * units_of[own] + 0.3 * noise

    def planted(
        _lab: Lab, dialogues: Sequence[TwoEmotions], layers: Sequence[int]
    ) -> dict[str, torch.Tensor]:
        return {role: of_role(dialogues, role).expand(len(layers), -1, -1) for role in ("user", "assistant")}

    monkeypatch.setattr(study, "of_turns", planted)
    result = study.speakers(here)
    verdicts = [check.verdict for check in result.checks[:5]]
    assert verdicts == ["reproduced", "not reproduced", "reproduced", "reproduced", "reproduced"]
