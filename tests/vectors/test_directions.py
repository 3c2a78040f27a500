"""Directions against brute force: balance, neutral components, and powers of the noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from affekt.errors import CorpusError
from affekt.vectors.directions import Noise, balanced, comparable, noise, remove, top_components, unit

C, K, D = 6, 5, 8


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def holed(means: torch.Tensor, seed: int, share: float = 0.3) -> torch.Tensor:
    """Some cells emptied, but never a concept's first two or anybody's cell in the first topic."""
    empty = torch.rand(C, K, generator=torch.Generator().manual_seed(seed)) < share
    empty[:, :2] = False
    return means.masked_fill(empty[..., None], torch.nan)


def test_a_complete_corpus_gives_mean_minus_grand_mean() -> None:
    means = draw(C, K, D) + 50.0
    vectors, scatter = balanced(means)
    exact = means.double().numpy()
    brute = np.array([exact[c].mean(0) for c in range(C)]) - exact.mean((0, 1))
    np.testing.assert_allclose(vectors.numpy(), brute, atol=1e-5)
    residual = exact - exact.mean(0) - brute[:, None]
    np.testing.assert_allclose(scatter.numpy(), residual.reshape(-1, D), atol=1e-5)
    assert scatter.shape == (C * K, D)


@given(seed=st.integers(0, 20), share=st.sampled_from([0.0, 0.3, 0.7]), size=st.sampled_from([1.0, 1000.0]))
def test_what_a_topic_adds_leaves_the_vectors_alone(seed: int, share: float, size: float) -> None:
    means = holed(draw(C, K, D, seed=seed), seed, share)
    moved = means + size * draw(K, D, seed=seed + 1)
    for before, after in zip(balanced(means), balanced(moved), strict=True):
        torch.testing.assert_close(after, before, atol=2e-7 * max(size, 10), rtol=0)


@given(seed=st.integers(0, 20))
def test_concepts_and_topics_that_add_up_are_told_apart_though_cells_are_missing(seed: int) -> None:
    concepts, topics = draw(C, 1, D, seed=seed), 10 * draw(1, K, D, seed=seed + 1)
    vectors, scatter = balanced(holed(concepts + topics, seed, 0.5))
    torch.testing.assert_close(vectors, (concepts - concepts.mean(0))[:, 0], atol=1e-5, rtol=0)
    assert scatter.abs().max() < 1e-5


def test_mean_over_concepts_is_zero_whatever_is_missing() -> None:
    vectors, _ = balanced(holed(draw(C, K, D), 3, 0.6))
    assert vectors.mean(0).abs().max() < 1e-6


def test_a_cell_alone_in_its_topic_says_nothing() -> None:
    means = draw(C, K, D)
    means[1:, 4] = torch.nan
    means[:, 3] = torch.nan
    expected, rest = balanced(means[:, :3])
    vectors, scatter = balanced(means)
    torch.testing.assert_close(vectors, expected)
    torch.testing.assert_close(scatter, rest)
    assert comparable(~means[..., 0].isnan()).sum(0).tolist() == [C, C, C, 0, 0]


def test_a_concept_that_shares_no_topic_is_refused() -> None:
    means = draw(3, 3, D)
    means[0, 1:] = torch.nan
    means[1:, 0] = torch.nan
    with pytest.raises(CorpusError, match="shares no topic"):
        balanced(means)


def test_groups_without_a_common_topic_are_compared_within_themselves() -> None:
    means = draw(4, 4, D)
    means[:2, 2:] = torch.nan
    means[2:, :2] = torch.nan
    vectors, _ = balanced(means)
    first = means[:2, :2] - means[:2, :2].mean(0)
    torch.testing.assert_close(vectors[:2], first.mean(1), atol=1e-5, rtol=0)
    moved, _ = balanced(means + 100 * draw(4, D, seed=5))
    torch.testing.assert_close(moved, vectors, atol=1e-4, rtol=0)


def test_a_single_topic_leaves_no_noise() -> None:
    vectors, scatter = balanced(draw(C, 1, D))
    assert scatter.shape == (0, D)
    within = noise(scatter)
    torch.testing.assert_close(within.power(vectors, -1.0, 0.5), vectors)


def covariance(seed: int = 0) -> torch.Tensor:
    return torch.cov((draw(200, D, seed=seed) * torch.linspace(0.2, 3, D)).T)


@given(share=st.floats(0.0, 0.99), seed=st.integers(0, 5))
def test_components_hold_the_share_and_no_fewer_would(share: float, seed: int) -> None:
    cov = covariance(seed)
    basis = top_components(cov, share)
    n = basis.shape[1]
    values, vectors = np.linalg.eigh(cov.double().numpy())
    values, vectors = values[::-1], vectors[:, ::-1]
    held = values.cumsum() / values.sum()
    assert n == 0 if share == 0 else held[n - 1] >= share - 1e-6
    assert n <= 1 or held[n - 2] < share + 1e-6
    torch.testing.assert_close(basis.T @ basis, torch.eye(n), atol=1e-5, rtol=0)
    explained = float((basis.T @ cov @ basis).trace() / cov.trace())
    assert explained >= share - 1e-5
    np.testing.assert_allclose((basis @ basis.T).numpy(), vectors[:, :n] @ vectors[:, :n].T, atol=1e-4)


def test_no_share_removes_nothing_and_no_variance_neither() -> None:
    assert top_components(covariance(), 0.0).shape == (D, 0)
    assert top_components(torch.zeros(D, D), 0.5).shape == (D, 0)
    vectors = draw(C, D)
    assert torch.equal(remove(vectors, torch.zeros(D, 0)), vectors)


def test_what_remains_is_orthogonal_to_what_was_removed() -> None:
    basis = top_components(covariance(), 0.6)
    kept = remove(10 * draw(C, D), basis)
    assert (kept @ basis).abs().max() < 1e-5
    torch.testing.assert_close(remove(kept, basis), kept, atol=1e-5, rtol=0)
    inside = (draw(3, basis.shape[1]) @ basis.T).contiguous()
    assert remove(inside, basis).abs().max() < 1e-5


@pytest.mark.parametrize("n", [5, 8, 60])
@pytest.mark.parametrize("shrinkage", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("exponent", [-1.0, -0.5, 1.0])
def test_powers_of_the_shrunk_covariance(n: int, shrinkage: float, exponent: float) -> None:
    scatter = draw(n, D) * torch.linspace(0.1, 30, D)
    vectors = draw(C, D, seed=1)
    rows = scatter.double().numpy()
    cov = rows.T @ rows / n
    shrunk = (1 - shrinkage) * cov + shrinkage * np.trace(cov) / D * np.eye(D)
    values, basis = np.linalg.eigh(shrunk)
    expected = vectors.double().numpy() @ (basis * values**exponent) @ basis.T
    if exponent == -1.0:
        np.testing.assert_allclose(expected, vectors.double().numpy() @ np.linalg.inv(shrunk), rtol=1e-8)
    np.testing.assert_allclose(
        noise(scatter).power(vectors, exponent, shrinkage).numpy(), expected, rtol=2e-5, atol=1e-7
    )


def test_few_residuals_are_decomposed_on_their_smaller_side() -> None:
    within = noise(draw(5, 400))
    assert within.basis.shape == (400, 5) and within.variance.shape == (5,)
    torch.testing.assert_close(within.basis.T @ within.basis, torch.eye(5).double(), atol=1e-9, rtol=0)


def test_whitened_noise_is_white() -> None:
    scatter = draw(500, D) * torch.linspace(0.5, 5, D)
    white = noise(scatter).power(scatter, -0.5, 1e-9)
    torch.testing.assert_close(white.T @ white / 500, torch.eye(D), atol=1e-4, rtol=0)


def test_full_shrinkage_leaves_directions_alone() -> None:
    vectors = draw(C, D)
    powered = noise(draw(40, D, seed=2)).power(vectors, -1.0, 1.0)
    torch.testing.assert_close(unit(powered), unit(vectors))


def test_no_noise_at_all() -> None:
    vectors = draw(C, D)
    assert torch.equal(Noise(torch.zeros(2), torch.eye(D)[:, :2]).power(vectors, -1.0, 0.5), vectors)


def test_unit() -> None:
    rows = torch.stack([draw(D), torch.zeros(D)])
    assert unit(rows).norm(dim=-1).tolist() == pytest.approx([1.0, 0.0])
