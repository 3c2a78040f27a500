"""Numbers that mean something, and the same numbers that do not."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from affekt.concepts import emotions
from affekt.concepts.shipped import severity
from affekt.quality.figure import Figure
from affekt.quality.severity import numbers, spearman
from tests.quality.planted import D, PlantedEngine, draw, vectors_of

VECTORS = vectors_of(emotions(), draw(171, D, seed=1))
SIGN = {"+": 1.0, "-": -1.0}


def engine(meaning: float, number: float) -> PlantedEngine:
    """Residuals that follow what a number means, and the bare number, each by so much."""
    families = {text: (family, i) for family in severity() for i, text in enumerate(family.texts)}
    first = VECTORS.readout().weight
    basis = torch.linalg.pinv(first)  # columns that raise one concept's z by 1 where that can be

    def residual(text: str, layer: int) -> torch.Tensor:
        family, i = families[text]
        out = torch.zeros(D)
        twin = next(f for f in severity() if not f.control and f.values == family.values)
        for name, sign in twin.expect.items():
            own = basis[:, VECTORS.index(name)]
            out += SIGN[sign] * i * own * ((0.0 if family.control else meaning) + number)
        return out

    return PlantedEngine(VECTORS, residual, noise=0.05)


def figures(section: object, row: int) -> list[Figure]:
    return [cell for cell in section.rows[row] if isinstance(cell, Figure)]  # type: ignore[attr-defined]


def test_meaning_is_found_beyond_the_number() -> None:
    section = numbers(engine(meaning=5.0, number=0.0), VECTORS)
    right, _, _, rho, beyond = figures(section, 0)
    assert right.n == 18 and right.value > 0.9 and rho.value > 0.8 and beyond.low > 0
    assert "beyond the number itself" in section.verdict
    assert len(section.data["user"]) == 18 and section.data["user"][0]["expected"] in "+-"


def test_the_number_alone_is_not_taken_for_meaning() -> None:
    section = numbers(engine(meaning=0.0, number=5.0), VECTORS)
    right, controls, difference, rho, beyond = figures(section, 0)
    assert right.value > 0.9 and controls.value > 0.9 and rho.low > 0
    assert difference.low <= 0 <= difference.high and beyond.low <= 0.05
    assert "but not beyond the number-only controls" in section.verdict


def test_nothing_is_said_to_be_nothing() -> None:
    section = numbers(engine(meaning=0.0, number=0.0), VECTORS)
    assert section.verdict == "It is not shown that readings follow what the number means."


def test_vectors_without_those_emotions() -> None:
    few = vectors_of([c for c in emotions() if c.name in ("bored", "lazy", "greedy")], draw(3, D))
    assert numbers(PlantedEngine(few), few).verdict.startswith("Not measured")


def test_spearman_is_that_of_scipy() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=20).astype(float), rng.normal(size=20)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(np.ones(4), np.arange(4.0)) == 0.0


def test_every_family_has_its_control() -> None:
    controls = {family.values for family in severity() if family.control}
    assert all(family.values in controls for family in severity() if not family.control)
    assert all(re.search(r"\d", text) for family in severity() for text in family.texts)
