"""Rules of rows that are judged on figures alone: each verdict is reached, and not by noise."""

from __future__ import annotations

import numpy as np
import pytest

from affekt.quality.bootstrap import jackknife
from affekt.studies.choosing.halves import apart
from affekt.studies.choosing.preferring import beyond, by_valence, link, linked
from affekt.studies.choosing.ranking import effects
from affekt.studies.drift import _falls
from affekt.studies.space.clusters import agreement
from affekt.studies.space.leading import leading


def units(*lengths: float, n: int = 100, d: int = 40) -> np.ndarray:
    """Unit vectors that vary along a few directions of no coordinate more than along others."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    rows = rng.normal(size=(n, d)) * np.array([*lengths, *[1.0] * (d - len(lengths))]) @ axes
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_components_that_lead() -> None:
    assert leading(units(6, 3)).verdict == "reproduced"
    assert leading(units(4, 4)).verdict == "partly", "two of one length: neither leads"
    assert leading(units(6)).verdict == "not reproduced", "one alone"
    assert leading(units()).verdict == "not reproduced"
    assert leading(units(6, 3)).row == 8


def test_spread_of_the_coordinates_alone_is_no_component() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 40)) * np.array([6, 3, *[1.0] * 38])
    assert leading(rows).verdict == "not reproduced"


def test_a_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=50)
    [figure] = jackknife(lambda kept: (float(values[kept].mean()),), 50, "values")
    reach = 1.96 * values.std(ddof=1) / np.sqrt(50)
    assert figure.high - figure.value == pytest.approx(reach, rel=1e-3)
    assert np.isnan(jackknife(lambda kept: (float(len(kept)),), 1, "values")[0].low)


def test_agreement_of_partitions_has_an_interval() -> None:
    paper = [f"cluster {i // 10}" for i in range(60)]
    labels = np.arange(60) // 10
    same, mixed = agreement(labels, paper), agreement(np.random.default_rng(0).permutation(labels), paper)
    assert same.value == same.low == 1 and mixed.low < 0.1 and mixed.value < 0.1
    labels[:12] = 9
    some = agreement(labels, paper)
    assert some.low < some.value < some.high and some.n == 60


def test_both_halves_of_the_activities_are_drawn() -> None:
    rng = np.random.default_rng(0)
    half, rest = np.arange(0, 64, 2), np.arange(1, 64, 2)
    change = np.zeros(64)
    change[half], change[rest] = 10, rng.normal(0, 50, 32)
    figure = apart(change, half, rest)
    assert figure.n == 64 and figure.value == pytest.approx(10 - change[rest].mean())
    assert figure.high - figure.low > 20, "the others vary, though the steered do not"


def arms(emotions: float, chance: float, n: int = 30) -> list[dict[str, object]]:
    """Directions whose effect follows their correlation, by so much."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for kind, slope in (("emotion", emotions), ("random", chance)):
        for x in rng.normal(size=n):
            effect = slope * x + rng.normal()
            rows.append(
                {
                    "kind": kind,
                    "effect": effect,
                    "r of the steering direction": x,
                    "r of the probe": x if kind == "emotion" else None,
                }
            )
    return rows


def test_emotions_must_follow_more_than_random_directions() -> None:
    def verdict(emotions: float, chance: float) -> str:
        rows = arms(emotions, chance)
        return linked(
            link([row for row in rows if row["kind"] == "emotion"], "r of the probe"), beyond(rows)
        ).verdict

    assert verdict(3, 0) == "reproduced" and verdict(3, 3) == "partly"
    assert verdict(0, 0) == verdict(-3, 0) == "not reproduced"


def test_elo_of_no_meaning_goes_with_valence_by_no_rule() -> None:
    """Where all probes read one direction, which is valence, any Elo correlates with them as valence says."""
    rng = np.random.default_rng(0)
    valence, activities = rng.normal(size=45), rng.normal(size=64)
    z = activities[:, None] * valence + 0.1 * rng.normal(size=(64, 45))
    by_chance = [by_valence(z, rng.normal(size=64), valence) for _ in range(40)]
    assert sum(check.verdict != "not reproduced" for check in by_chance) <= 5
    each = rng.normal(size=(64, 45)) + 0.5 * valence * activities[:, None]
    assert by_valence(each, activities, valence).verdict == "reproduced"


def test_coherence_must_fall_for_most() -> None:
    def verdict(strong: float, steady: float) -> str:
        rows: list[dict[str, object]] = [
            {"dose": dose, "random": False, "broken": broken, "n": 2}
            for dose, broken in ((0.1, 0.0), (0.6, float(strong)))
            for _ in range(6)
        ]
        cost = np.tile([0.0, 0.5, 1.0], (100, 1))
        cost[round(100 * steady) :, 2] = 0.5
        return _falls(rows, (0.1, 0.6), cost).verdict

    assert verdict(1, 1) == "reproduced" and verdict(1, 0.5) == verdict(0, 1) == "partly"
    assert verdict(0.1, 0.85) == "not reproduced"


def test_the_outermost_effects_are_named_and_every_one_under_the_pointer() -> None:
    rows = [
        {
            "arm": f"emotion {i}",
            "kind": "emotion",
            "r of the probe": 0.9 if i == 3 else 0.01 * i,
            "r of the steering direction": 0.0,
            "effect": -40.0 if i == 7 else 0.1 * i,
            "low": -50.0,
            "high": 50.0,
        }
        for i in range(35)
    ]
    plain = [{**row, "arm": f"random {i}", "kind": "random"} for i, row in enumerate(rows[:4])]
    emotions, random = effects([*rows, *plain]).data
    named = [name for name in emotions.text if name]
    assert len(named) == 16 and {"emotion 3", "emotion 7"} <= set(named)
    assert list(emotions.hovertext) == [row["arm"] for row in rows] and random.text is None
    assert [name for name in effects([*rows[:6], *plain]).data[0].text if name] == [
        r["arm"] for r in rows[:6]
    ]
