"""Split-half reliability against what theory says of planted signal and noise."""

from __future__ import annotations

import numpy as np
import torch

from affekt.concepts import Concept
from affekt.quality.cells import Cells, Training, neutral_components
from affekt.quality.figure import Figure
from affekt.quality.reliability import reliability, split_half
from affekt.vectors.cells import layout
from affekt.vectors.directions import balanced, remove
from tests.quality.planted import corpus_of, draw, vectors_of

C, K, WIDTH = 30, 12, 300
NAMES = tuple(f"c{i:02}" for i in range(C))


def means(signal: float) -> torch.Tensor:
    topics = 20 * draw(K, WIDTH, seed=2)
    return signal * draw(C, 1, WIDTH, seed=0) + draw(C, K, WIDTH, seed=1) + topics


NOTHING = torch.zeros(WIDTH, 0)
"""No components to remove."""


def test_reliability_is_what_theory_says() -> None:
    own, strange = split_half(means(0.5), splits=40)
    # Signal variance s, noise variance 1/12 in the mean of all cells: reliability s / (s + 1/12).
    assert abs(own.mean() - 0.25 / (0.25 + 1 / K)) < 0.02
    assert abs(strange.mean()) < 0.05


def test_noise_has_none() -> None:
    own, _ = split_half(means(0.0), splits=40)
    assert abs(own.mean()) < 0.05


def test_missing_cells_do_not_matter_much() -> None:
    holes = means(1.0)
    holes[0, 3:] = torch.nan
    holes[1] = torch.nan
    own, _ = split_half(holes, splits=60)
    assert np.isnan(own[1]) and own[0] > 0.5 and own[2:].mean() > 0.85


def section_of(signal: float) -> object:
    corpus = corpus_of(NAMES, {"story": K})
    table = means(signal)
    vectors = vectors_of([Concept(name) for name in NAMES], balanced(table)[0], corpus)
    cells = Cells(Training(corpus, {"shrinkage": 0.5}), layout(corpus), table, NOTHING)
    return reliability(cells, vectors, splits=20)


def test_the_section_says_which_it_is() -> None:
    good, bad = section_of(1.0), section_of(0.0)
    assert "vectors, which steer, is sound" in good.verdict  # type: ignore[attr-defined]
    assert bad.verdict == "The halves do not agree: the vectors are noise."  # type: ignore[attr-defined]
    raw = good.rows[0]  # type: ignore[attr-defined]
    assert isinstance(raw[1], Figure) and raw[1].n == C and raw[3].value == 1.0
    assert [row[0] for row in bad.rows] == ["raw", "projected", "whitened"]  # type: ignore[attr-defined]
    assert all(abs(row[1].value) < 0.1 for row in bad.rows)  # type: ignore[attr-defined]
    assert set(good.data["raw"]) == set(NAMES)  # type: ignore[attr-defined]


def test_too_few_topics_are_not_split() -> None:
    corpus = corpus_of(NAMES, {"story": 3})
    cells = Cells(Training(corpus, {}), layout(corpus), means(1.0)[:, :3], NOTHING)
    assert reliability(
        cells, vectors_of([Concept(name) for name in NAMES], draw(C, WIDTH))
    ).verdict.startswith("Not measured")


def test_the_components_that_projection_removes_are_found_again() -> None:
    corpus = corpus_of(NAMES, {"story": K})
    raw = balanced(means(1.0))[0]
    basis = torch.linalg.qr(draw(WIDTH, 7, seed=5))[0]
    stack = raw.expand(3, -1, -1).clone()
    vectors = vectors_of(
        [Concept(n) for n in NAMES], raw, corpus, projected=remove(raw, basis).expand(3, -1, -1).clone()
    )
    found = neutral_components(vectors, NAMES)
    assert found.shape == (WIDTH, 7) and torch.allclose(found @ found.T, basis @ basis.T, atol=1e-3)
    assert neutral_components(
        vectors_of([Concept(n) for n in NAMES], raw, corpus, raw=stack), NAMES
    ).shape == (
        WIDTH,
        0,
    )
