"""Running moments agree with numpy on all rows at once, however the rows are cut, merged and offset."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from affekt.vectors.moments import CellMeans, Gram, ScoreMoments

L, D = 2, 5


def rows(n: int, offset: float = 0.0, seed: int = 0) -> torch.Tensor:
    draw = torch.randn(L, n, D, generator=torch.Generator().manual_seed(seed))
    return draw * torch.linspace(0.5, 2, D) + offset * torch.linspace(-1, 1, D)


def gram(*parts: torch.Tensor) -> Gram:
    made = Gram.empty(L, D)
    for part in parts:
        made.add(part)
    return made


def check_gram(made: Gram, every: torch.Tensor, atol: float = 1e-5) -> None:
    exact = every.double().numpy()
    assert int(made.count) == every.shape[1]
    np.testing.assert_allclose(made.mean.numpy(), exact.mean(1), atol=atol, rtol=1e-6)
    for layer in range(L):
        np.testing.assert_allclose(
            made.covariance(layer).numpy(), np.cov(exact[layer].T, bias=True), atol=atol, rtol=1e-4
        )
    np.testing.assert_allclose(
        made.mean_norm().numpy(), np.linalg.norm(exact, axis=2).mean(1), atol=atol, rtol=1e-5
    )


@given(cuts=st.lists(st.integers(0, 40), max_size=5), seed=st.integers(0, 3))
def test_gram_does_not_depend_on_how_rows_are_cut(cuts: list[int], seed: int) -> None:
    every = rows(40, seed=seed)
    edges = [0, *sorted(cuts), 40]
    parts = [every[:, a:b] for a, b in pairwise(edges)]
    check_gram(gram(*parts), every)


def test_gram_of_single_tokens() -> None:
    every = rows(30)
    check_gram(gram(*every.split(1, dim=1)), every)


def test_a_gram_far_from_zero_does_not_cancel() -> None:
    every = rows(4000, offset=3000.0)
    made = gram(*every.split(37, dim=1))
    check_gram(made, every, atol=5e-3)
    raw = (torch.einsum("ltd,lte->lde", every, every) / 4000) - torch.einsum(
        "ld,le->lde", every.mean(1), every.mean(1)
    )
    exact = np.cov(every[0].double().numpy().T, bias=True)
    assert np.abs(raw[0].numpy() - exact).max() > 0.1, "plain float32 moments would have done"


def merged_grams(a: torch.Tensor, b: torch.Tensor) -> Gram:
    return gram(a).merge(gram(b))


@pytest.mark.parametrize("merge", [merged_grams, lambda a, b: gram(b).merge(gram(a))])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_merged_shards_are_the_whole(
    merge: Callable[[torch.Tensor, torch.Tensor], Gram], offset: float
) -> None:
    a, b = rows(7, offset=offset), rows(50, offset=offset / 2, seed=1)
    check_gram(merge(a, b), torch.cat([a, b], 1), atol=1e-5 * max(offset, 1))


def test_an_empty_shard_changes_nothing() -> None:
    every = rows(9)
    for made in (gram(every).merge(Gram.empty(L, D)), Gram.empty(L, D).merge(gram(every))):
        check_gram(made, every)


def test_merging_leaves_both_shards_as_they_were() -> None:
    a, b = gram(rows(5)), gram(rows(6, seed=1))
    before = {name: value.clone() for name, value in a.state().items()}
    a.merge(b).add(rows(3))
    for name, value in a.state().items():
        assert torch.equal(value, before[name]), name


@given(cut=st.integers(0, 30))
def test_scores_agree_with_numpy(cut: int) -> None:
    every = rows(30, offset=100.0)
    whole, left, right = (ScoreMoments.empty(L, D) for _ in range(3))
    for part in every.split(4, dim=1):
        whole.add(part)
    left.add(every[:, :cut])
    right.add(every[:, cut:])
    for made in (whole, left.merge(right)):
        assert int(made.count) == 30
        np.testing.assert_allclose(made.mean.numpy(), every.double().mean(1), rtol=1e-9)
        np.testing.assert_allclose(made.std().numpy(), every.double().numpy().std(1), rtol=1e-7)


def test_cells_hold_means_and_know_which_are_empty() -> None:
    cells = CellMeans.empty(2, 3, L, D)
    one, two = rows(2, seed=1).unbind(1)
    cells.add(0, 1, one)
    cells.add(0, 1, two)
    cells.add(1, 2, one)
    for layer in range(L):
        means = cells.means(layer)
        torch.testing.assert_close(means[0, 1], (one[layer] + two[layer]) / 2)
        torch.testing.assert_close(means[1, 2], one[layer])
        assert means[0, 0].isnan().all() and means[1, 1].isnan().all()
    assert cells.counts.tolist() == [[0, 2, 0], [0, 0, 1]]


def test_cells_merge() -> None:
    a, b, whole = (CellMeans.empty(2, 2, L, D) for _ in range(3))
    for at, pooled in enumerate(rows(6).unbind(1)):
        for cells in ((a, b)[at % 2], whole):
            cells.add(at % 2, at // 3, pooled)
    torch.testing.assert_close(a.merge(b).sums, whole.sums)
    assert torch.equal(a.merge(b).counts, whole.counts)


def test_the_state_is_the_tensors_themselves() -> None:
    made = gram()
    state = made.state()
    made.add(rows(3))
    assert int(state["count"]) == 3 and torch.equal(state["scatter"], made.scatter)
    assert set(state) == {"count", "mean", "scatter", "norm"}
