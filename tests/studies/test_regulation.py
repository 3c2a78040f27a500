"""Regulation that is planted is found; noise, and turns that hold one emotion alone, are not taken for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from affekt.concepts.dialogues import TwoEmotions
from affekt.studies.speaking.regulation import RARE, Facing, facing, regulation, weights
from tests.studies.small import lab

SHUFFLES = 79
"""With these, the level is RARE to the letter: one of 80, or two."""


@cache
def dialogues() -> tuple[TwoEmotions, ...]:
    return tuple(lab().dialogues)


@cache
def rated(axis: str) -> dict[str, float]:
    here = lab()
    return {here.names[i]: float(v) for i, v in zip(*here.norms_of(axis), strict=True)}


def gram(
    seed: int, axis: str = "arousal", own: float = 0.0, other: float = 0.0, along: int = 0
) -> np.ndarray:
    """Inner products of turns that are noise; times `own` the assistant's emotion in one direction, times
    `other` the user's in direction `along`. Emotions without a rating have a place on the axis as well."""
    rng, known = np.random.default_rng([seed, len(axis)]), rated(axis)
    middle, spread = np.mean(list(known.values())), np.std(list(known.values()))
    names = sorted({d.user for d in dialogues()})
    place = {n: (known[n] - middle) / spread if n in known else rng.normal() for n in names}
    rows = rng.normal(size=(len(dialogues()), 48))
    rows[:, 0] += own * np.array([place[d.assistant] for d in dialogues()])
    rows[:, along] += other * np.array([place[d.user] for d in dialogues()])
    rows -= rows.mean(axis=0)
    return np.asarray(rows @ rows.T)


def p_of(seeds: int, axis: str, clip: bool, **planted: float) -> np.ndarray:
    """Seeds x both shuffles."""
    sides = facing(dialogues(), rated(axis))
    return np.array([sides.p(gram(s, axis, **planted), clip, SHUFFLES, s) for s in range(seeds)])


def test_no_dialogue_is_on_both_sides() -> None:
    for axis in ("valence", "arousal"):
        sides, known = facing(dialogues(), rated(axis)), rated(axis)
        users, assistants = ([dialogues()[i] for i in at] for at in sides.at)
        assert not set(sides.at[0]) & set(sides.at[1]) and len(users) == len(assistants) == 32
        assert all(d.user in known and d.assistant not in known for d in users)
        assert [known[d.user] for d in users] == sides.ratings[0][sides.shown[0]].tolist()
        assert [known[d.assistant] for d in assistants] == sides.ratings[1][sides.shown[1]].tolist()


@pytest.mark.parametrize("clip", [True, False])
def test_noise_is_taken_for_regulation_no_more_often_than_the_rule_says(clip: bool) -> None:
    n = 600
    p = np.concatenate([p_of(n, axis, clip) for axis in ("valence", "arousal")])
    most = binom.ppf(0.99, len(p), RARE)
    for each in (*p.T, p.max(axis=1)):
        assert (each <= RARE).sum() <= most
    # So many are counted that a null of twice the level would fail, and each is one, not a smaller one.
    assert ((p <= 2 * RARE).sum(axis=0) > most).all()
    assert (np.abs(p.mean(axis=0) - 0.5) < 0.04).all()


@pytest.mark.parametrize(
    "held",
    [{"own": 4.0}, {"other": 4.0}, {"own": 4.0, "other": 4.0, "along": 1}],
    ids=["own", "other", "both"],
)
def test_turns_that_hold_emotions_unregulated_are_not_taken_for_it(held: Mapping[str, float]) -> None:
    """One's own, the other's, or both in directions that have nothing to do with each other; a shuffle of one
    side alone is fooled by the first two."""
    n = 200
    p = p_of(n, "arousal", True, **held)
    assert (p.max(axis=1) <= RARE).sum() <= binom.ppf(0.99, n, RARE)
    if len(held) == 1:
        assert (p.min(axis=1) <= RARE).sum() > binom.ppf(0.999, n, RARE)


@pytest.mark.parametrize("clip", [True, False])
def test_regulation_is_found_where_it_is(clip: bool) -> None:
    p = p_of(60, "arousal", clip, own=3.0, other=-3.0)
    assert (p.max(axis=1) <= RARE).mean() > 0.85


def test_the_verdicts() -> None:
    noise = gram(1)
    planted = gram(0, own=6.0, other=-6.0)
    table, checks = regulation(lab(), dialogues(), planted, noise)
    assert [check.verdict for check in checks] == ["not measured", "reproduced"]
    assert len(table.columns["r"]) == 2 * 2 * 2 and set(table.columns["n"]) == {32}
    # What the words do as well is not the model's.
    assert regulation(lab(), dialogues(), planted, planted)[1][1].verdict == "partly"
    assert regulation(lab(), dialogues(), noise, planted)[1][1].verdict == "not reproduced"
    few = regulation(lab(), dialogues()[:30], planted[:30, :30], noise[:30, :30])[1]
    assert {check.verdict for check in few} == {"not measured"}


def test_words_that_occur_several_times_are_means() -> None:
    """Two dialogues an emotion, told by nothing but order, give what their mean gives."""
    one = facing(dialogues(), rated("arousal"))
    twice = facing(dialogues() * 2, rated("arousal"))
    rows = np.random.default_rng(0).normal(size=(2, 171, 48))
    both = rows.reshape(-1, 48)
    for clip in (True, False):
        assert np.allclose(one.near(rows.mean(0) @ rows.mean(0).T, clip), twice.near(both @ both.T, clip))
    none = facing([], rated("arousal"))
    assert isinstance(none, Facing) and none.same.shape == (0, 0)
    assert all(0 < p <= 1 for p in twice.p(both @ both.T, True, 19))


def test_what_is_left_out_weighs_nothing() -> None:
    out = np.eye(6, dtype=bool)
    out[0, 3] = True
    cosines = np.random.default_rng(0).uniform(-1, 1, size=(6, 6))
    for clip in (True, False):
        taken = weights(cosines, out, clip)
        assert (taken[out] == 0).all() and np.allclose(taken.sum(axis=1), 0)
