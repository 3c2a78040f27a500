"""Steering by the speaker's own and the other's emotion: planted effects are found, noise is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from affekt.quality.naming import DISPLAY
from affekt.studies.heat import cells
from affekt.studies.result import Table, unjudged
from affekt.studies.speaking import reacting as study
from affekt.studies.speaking.reacting import KINDS, address, judged
from tests.studies.small import lab

WORDS = 12


def changes(seed: int, own: float, answered: float) -> dict[str, dict[str, np.ndarray]]:
    """Noise of one nat that all words share in part, with each word raised by `own` after "I feel" under its
    own vector of the speaker, and by `answered` after "You sound" under that of the other."""
    rng = np.random.default_rng(seed)

    def drawn(plant: float) -> np.ndarray:
        return rng.normal(size=(WORDS, WORDS)) + rng.normal(size=WORDS) + plant * np.eye(WORDS)

    return {
        "own": {"expressed": drawn(own), "answered": drawn(0)},
        "other's": {"expressed": drawn(0), "answered": drawn(answered)},
    }


def verdicts(seed: int, own: float, answered: float) -> list[str]:
    noise = np.random.default_rng(1000 + seed).normal(size=(6, WORDS))
    return [check.verdict for check in judged(changes(seed, own, answered), noise)]


def test_what_is_expressed_and_what_is_answered() -> None:
    assert verdicts(0, 4, 4) == ["reproduced", "reproduced"]
    assert verdicts(0, 4, 0)[0] == "reproduced" and verdicts(0, 0, 4)[1] == "reproduced"
    assert verdicts(1, -4, -4) == ["not reproduced", "not reproduced"]


def test_a_word_that_any_vector_raises_is_not_answered() -> None:
    """Vectors of the other that raise every word after "You sound" alike say nothing of an emotion."""
    raised = changes(2, 0, 0)
    raised["other's"]["answered"] += 10
    random = np.zeros((6, WORDS))
    assert judged(raised, random)[1].verdict == "not reproduced"


def test_what_one_s_own_emotion_expresses_is_no_answer() -> None:
    assert verdicts(2, 8, 0)[1] == "not reproduced"


def test_an_answer_to_one_s_own_emotion_as_well_is_half_of_one() -> None:
    """Where "You sound" is the more easily moved beginning, vectors of both kinds move it."""
    both = changes(3, 0, 4)
    both["own"]["answered"] += 8 * np.eye(WORDS)
    random = np.zeros((6, WORDS))
    assert judged(both, random)[1].verdict == "partly"


def test_random_directions_must_be_beaten() -> None:
    random = np.full((6, WORDS), 50.0)
    assert judged(changes(0, 4, 4), random)[0].verdict == "partly"


def test_a_word_that_only_falls_less_than_others_is_not_expressed() -> None:
    fallen = changes(0, 8, 0)
    fallen["own"]["expressed"] -= 20
    random = np.full((6, WORDS), -40.0)
    assert judged(fallen, random)[0].verdict == "partly"


def test_noise_is_seldom_called() -> None:
    """A one-sided 2.5 %: of 120 twelve at the most, which such a rule passes all but once in ten thousand."""
    found = np.array([[v != "not reproduced" for v in verdicts(seed, 0, 0)] for seed in range(120)])
    assert (found.sum(axis=0) <= 12).all()


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("I'm glad to hear it from you.", 0.0),
        ("You are safe; your worry will pass.", 1.0),
        ("I am afraid. Help me!", -1.0),
        ("Yours, and mine, and yours.", 1 / 3),
    ],
)
def test_whom_a_reply_speaks_of(text: str, share: float) -> None:
    assert address(text) == pytest.approx(share)


def test_a_reply_that_names_nobody() -> None:
    assert np.isnan(address("In the youth of the miner, rain fell."))


def test_the_figure_names_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change planted in one emotion, kind and beginning is drawn in that cell and in no other."""
    here = lab()

    def raised(_: object, words: Sequence[str], arms: Sequence[str], *asked: object) -> np.ndarray:
        changed = np.zeros((len(arms), len(words)))
        if asked[-1] == "You sound":
            changed[arms.index("afraid (other's)"), words.index("afraid")] = 3.0
        return changed

    monkeypatch.setattr(study, "raises", raised)
    monkeypatch.setattr(study, "_free", lambda *_: (Table("replies", {}), unjudged("replies", "", "", "")))
    shape = (len(here.vectors.layers), len(here.names), here.model.identity.d_model)
    made = {kind: torch.randn(shape) for kind in KINDS.values()}
    [drawn] = study.reacting(here, made, here.names).drawn
    [map] = drawn.drawing.data
    assert list(map.y) == list(DISPLAY) and len(map.x) == 4
    drawn_at = [(map.y[i], map.x[j]) for i, j in zip(*np.nonzero(np.array(map.z)), strict=True)]
    assert drawn_at == [("afraid", "other's, “You sound”")]


def test_names_that_do_not_fit_a_heat_map() -> None:
    with pytest.raises(ValueError, match="12 names for 4 columns"):
        cells(np.zeros((12, 4)), list(DISPLAY), list(DISPLAY))
    with pytest.raises(ValueError, match="2 names for 12 rows"):
        cells(np.zeros((12, 12)), list(DISPLAY), ["one", "two"])
