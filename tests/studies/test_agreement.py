"""Planted agreement is found, none gives chance, and words alone are told from what goes beyond them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from affekt.concepts.dialogues import TwoEmotions
from affekt.studies import Lab
from affekt.studies import speakers as study
from affekt.studies.space.agreement import Words, alike, own_above_others
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
