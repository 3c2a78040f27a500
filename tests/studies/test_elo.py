"""Strengths from comparisons of which the truth is known, and what is compared."""

from __future__ import annotations

import numpy as np

from affekt.concepts.shipped import activities
from affekt.studies.choosing.choices import compared, compared_under, letters, question
from affekt.studies.choosing.elo import CENTRE, SCALE, elo, hard
from affekt.studies.choosing.feelings import felt
from tests.studies.small import lab


def outcomes(strengths: np.ndarray, advantage: float) -> np.ndarray:
    wins = 1 / (1 + np.exp(-(strengths[:, None] - strengths[None, :] + advantage)))
    np.fill_diagonal(wins, 0.5)
    return wins


def test_planted_strengths_come_back() -> None:
    truth = np.random.default_rng(0).normal(size=12)
    found, advantage = elo(outcomes(truth, 0.7))
    assert np.allclose((found - CENTRE) / SCALE, truth - truth.mean(), atol=1e-3)
    assert abs(advantage / SCALE - 0.7) < 1e-3
    assert np.isclose(found.mean(), CENTRE)


def test_some_pairs_are_enough() -> None:
    truth = np.random.default_rng(1).normal(size=10)
    played = np.random.default_rng(2).random((10, 10)) < 0.5
    played |= played.T
    np.fill_diagonal(played, False)
    found, _ = elo(outcomes(truth, 0.0), played)
    assert np.corrcoef(found, truth)[0, 1] > 0.999


def test_hard_outcomes_keep_the_order() -> None:
    truth = np.array([2.0, 1.0, 0.0, -1.0])
    found, _ = elo(hard(outcomes(truth, 0.1)))
    assert (np.diff(found) < 0).all() and np.isfinite(found).all()
    assert set(np.unique(hard(outcomes(truth, 0.0)))) == {0.0, 0.5, 1.0}


def test_a_comparison_is_that_of_the_prompt_alone() -> None:
    here, texts = lab(), [activity.text for activity in activities()][:4]
    engine = here.engine()
    wins, _ = compared(here, engine, texts)
    for i, j in ((0, 1), (1, 0), (3, 2)):
        prompt = question(here, texts[i], texts[j])
        assert prompt.text.endswith("(") and texts[i] in prompt.text
        [own] = engine.next_token([prompt], ids=letters(here))
        assert np.isclose(wins[i, j], 1 / (1 + np.exp(own[1] - own[0])), atol=1e-4)
    assert (np.diag(wins) == 0.5).all()


def test_steering_one_activity_moves_only_its_comparisons() -> None:
    here, texts = lab(), [activity.text for activity in activities()][:4]
    engine = here.engine()
    plain, _ = compared(here, engine, texts)
    steered, _ = compared(here, engine, texts, bias={0: {"angry": {"dose": 0.8}}})
    others = np.ones((4, 4), dtype=bool)
    others[0], others[:, 0] = False, False
    assert np.allclose(plain[others], steered[others], atol=1e-4)
    assert np.abs(plain - steered)[~others].max() > 1e-3


def test_several_biases_at_once_are_each_alone() -> None:
    here, texts = lab(), [activity.text for activity in activities()][:4]
    engine, played = here.engine(), ~np.eye(4, dtype=bool)
    biases = [{0: {name: {"dose": 0.8}}, 2: {name: {"dose": 0.8}}} for name in ("angry", "calm", "proud")]
    together = compared_under(here, engine, texts, played, biases, "steered")
    for bias, odds in zip(biases, together, strict=True):
        wins, _ = compared(here, engine, texts, bias=bias)
        assert np.allclose(wins, 1 / (1 + np.exp(-odds)), atol=1e-4) and (np.diag(odds) == 0).all()
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_a_feeling_is_read_on_the_activitys_own_tokens() -> None:
    here, texts = lab(), [activity.text for activity in activities()][:3]
    engine = here.engine()
    z = here.vectors.readout().only(here.emotions).z(felt(here, engine, texts), "user").numpy()
    assert z.shape == (3, 171)
    chat = [{"role": "user", "content": f"How would you feel about {texts[1]}?"}]
    [reading] = engine.read([chat], here.names)
    start = reading.text.index(texts[1])
    own = reading.span(start, start + len(texts[1])).z.mean(axis=0)
    assert np.allclose(z[1], own, atol=1e-3)
