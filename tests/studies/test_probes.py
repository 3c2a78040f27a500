"""Probes that read the same are found; unrelated ones are not, though all of them follow one thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from affekt.concepts.shipped import implicit
from affekt.studies.speaking import probes as study
from affekt.studies.speaking.probes import judged, probes
from tests.studies.small import lab

N, D, MESSAGES = 40, 64, 60
NAMES = [f"emotion {i}" for i in range(N)]


def directions(seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(N, D))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def ends(seed: int, common: float = 0.0) -> np.ndarray:
    """Residuals of messages; times `common`, one direction that most of their variance lies along."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(MESSAGES, D))
    return np.asarray(rows + common * rng.normal(size=(MESSAGES, 1)) * rng.normal(size=D))


def row(told: np.ndarray, said: np.ndarray, rows: np.ndarray, words: float = 0.0) -> str:
    noise = [ends(seed)[:, :N] for seed in (100, 101)]
    plainly = (noise[0], noise[1] * (1 - words) + noise[0] * words)
    return judged(rows @ told.T, rows @ said.T, plainly, NAMES, 200).verdict


def test_probes_that_read_the_same_are_found() -> None:
    told, rows = directions(0), ends(1)
    same = told + 0.5 * directions(2)
    assert row(told, same, rows) == "reproduced"
    assert row(told, told + 2 * directions(2), rows) == "partly", "too little of it"
    assert row(told, same, rows, words=1.0) == "partly", "the words tell as much"
    assert row(told, -same, rows) == "not reproduced", "R² does not see the sign"


@pytest.mark.parametrize("common", [0.0, 3.0], ids=["many directions", "one direction"])
def test_unrelated_probes_are_not(common: float) -> None:
    found = []
    for seed in range(24):
        told, said, rows = directions(seed), directions(seed + 1000), ends(seed + 2000, common)
        found.append(row(told, said, rows))
        if common and seed < 3:
            r = study._corr(rows @ told.T, rows @ said.T).diagonal()
            assert (r**2).mean() > study.LEAST, "all follow one thing, so that R² alone would say yes"
    assert found.count("not reproduced") >= 22 and "reproduced" not in found
    # Shuffled emotions are unrelated too.
    assert row(directions(0), np.roll(directions(0), 1, axis=0), ends(1, common)) == "not reproduced"


def test_each_emotion_has_its_line() -> None:
    here = lab()
    names, told = here.names, here.units()
    strength = torch.ones(len(names))
    strength[names.index("calm")] = 0.0
    other = torch.nn.functional.normalize(
        torch.randn(told.shape, generator=torch.Generator().manual_seed(1)), dim=1
    )
    said = strength[:, None] * told + (1 - strength[:, None]) * other
    texts = ([f"{name} {i}" for i, name in enumerate(names)], [f"word{i}" for i, _ in enumerate(names)])
    (means, table), check = probes(here, told, said, names, texts)
    assert table.columns["emotion"][0] == "calm" and table.columns["r"][-1] == pytest.approx(1)
    assert table.columns["R²"][0] == pytest.approx(table.columns["r"][0] ** 2, abs=1e-4)
    assert sum(table.columns["display emotion"]) == 12 and "weakest: calm" in check.here
    assert f"n = {len(implicit())} messages" in check.here and check.row == 15
    assert means.columns["mean r"][0] > 0.98 > 0.5 > max(map(abs, means.columns["mean r"][1:]))
