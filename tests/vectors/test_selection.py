"""Leaving folds out: planted directions are found, nothing is found where there is nothing, nothing leaks."""

from __future__ import annotations

import pytest
import torch

from affekt.vectors.directions import balanced, noise, remove, top_components, unit
from affekt.vectors.selection import SHRINKAGES, Held, choose, held_out

C, K, D = 40, 12, 24
FOLDS = [[0, 1, 2], [3, 4], [5, 6, 7, 8], [9, 10, 11]]
NONE = torch.zeros(D, 0)


def planted(strength: float, seed: int = 0) -> torch.Tensor:
    """Concepts + topics + noise that is loud in a few directions and quiet in the others."""
    generator = torch.Generator().manual_seed(seed)
    concepts = strength * torch.randn(C, 1, D, generator=generator)
    topics = 20 * torch.randn(1, K, D, generator=generator)
    loud = torch.tensor([8.0] * 6 + [1.0] * (D - 6))
    return concepts + topics + loud * torch.randn(C, K, D, generator=generator)


def by_shrinkage(means: torch.Tensor, neutral: torch.Tensor = NONE) -> dict[float | None, Held]:
    return {held.shrinkage: held for held in held_out(means, FOLDS, 3, neutral)}


def test_planted_directions_are_found_and_the_discriminant_finds_more() -> None:
    scores = by_shrinkage(planted(1.0))
    assert set(scores) == {None, *SHRINKAGES}
    assert all(held.layer == 3 and held.n == C * K for held in scores.values())
    assert scores[None].top1 > 0.05
    assert scores[0.1].top1 > scores[None].top1 + 0.3
    assert scores[0.1].top5 > 0.9 and scores[0.1].top5 >= scores[0.1].top1


def test_strong_signals_are_always_found() -> None:
    for held in by_shrinkage(planted(50.0)).values():
        assert held.top1 == held.top5 == 1.0 and held.score == 1.0 and held.error == 0.0


def test_no_signal_is_at_chance() -> None:
    runs = [by_shrinkage(planted(0.0, seed=seed)) for seed in range(6)]
    for shrinkage in (None, *SHRINKAGES):
        top1 = sum(run[shrinkage].top1 for run in runs) / len(runs)
        top5 = sum(run[shrinkage].top5 for run in runs) / len(runs)
        assert abs(top1 - 1 / C) < 0.012 and abs(top5 - 5 / C) < 0.025


def test_labels_shuffled_in_each_topic_are_at_chance() -> None:
    means = planted(50.0)
    generator = torch.Generator().manual_seed(1)
    for cell in range(K):
        means[:, cell] = means[torch.randperm(C, generator=generator), cell]
    for held in by_shrinkage(means).values():
        assert held.top1 < 3 / C


def test_a_held_out_fold_has_no_part_in_its_own_vectors() -> None:
    """Rotating the labels of one fold must take away its successes and leave those of the others' alone."""
    means = planted(50.0)
    [base] = [held for held in held_out(means, [FOLDS[1]], 0, NONE) if held.shrinkage is None]
    assert base.top1 == 1.0
    means[:, FOLDS[1]] = means[:, FOLDS[1]].roll(1, 0)
    for held in held_out(means, [FOLDS[1]], 0, NONE):
        assert held.top1 == 0.0


def test_the_figures_against_a_plain_loop() -> None:
    means = planted(1.0)
    neutral = top_components(torch.cov(torch.randn(50, D, generator=torch.Generator().manual_seed(3)).T), 0.3)
    scores = by_shrinkage(means, neutral)
    for shrinkage in (None, 0.5):
        top1, top5 = [], []
        for fold in FOLDS:
            kept = [k for k in range(K) if k not in fold]
            vectors, scatter = balanced(means[:, kept])
            weights = noise(scatter).power(vectors, -1.0, 0.5) if shrinkage else remove(vectors, neutral)
            ranks = []
            for cell in fold:
                for concept in range(C):
                    row = means[concept, cell] - means[:, cell].mean(0)
                    order = (unit(weights) @ row).argsort(descending=True).tolist()
                    ranks.append(order.index(concept))
            top1.append(sum(rank < 1 for rank in ranks) / len(ranks))
            top5.append(sum(rank < 5 for rank in ranks) / len(ranks))
        assert scores[shrinkage].top1 == pytest.approx(sum(top1) / 4)
        assert scores[shrinkage].top5 == pytest.approx(sum(top5) / 4)
        folds = [(a + b) / 2 for a, b in zip(top1, top5, strict=True)]
        error = sum(p * (1 - p) / (C * len(f)) for p, f in zip(folds, FOLDS, strict=True)) ** 0.5 / 4
        assert scores[shrinkage].error == pytest.approx(error)


def test_ties_are_no_success() -> None:
    means = torch.zeros(C, K, D)
    for held in by_shrinkage(means).values():
        assert held.top1 == 0.0 and held.top5 == 0.0


def test_concepts_that_only_the_held_out_fold_knows_are_left_out() -> None:
    means = planted(50.0)
    means[0, 3:] = torch.nan
    means[1, :5] = torch.nan
    scores = by_shrinkage(means)
    # Concept 0 is filled in the first fold only, where no vector of it is left; concept 1 lacks five cells.
    assert {held.n for held in scores.values()} == {(C - 2) * K + (K - 5)}
    assert scores[None].top1 == 1.0


def test_nothing_to_leave_out() -> None:
    assert held_out(planted(1.0)[:, :1], [], 0, NONE) == []
    alone = planted(1.0)
    alone[1:, 3:] = torch.nan
    assert held_out(alone, [[0, 1, 2]], 0, NONE) == []


def held(layer: int, score: float, shrinkage: float | None = None, error: float = 0.01) -> Held:
    return Held(layer, shrinkage, score, score, 100, error)


def test_the_best_is_chosen_where_it_stands_out() -> None:
    assert choose([held(3, 0.3), held(9, 0.6), held(6, 0.5)], 10).layer == 9


def test_within_one_error_the_layer_nearest_to_two_thirds_is_chosen() -> None:
    scores = [
        held(3, 0.500, 0.1),
        held(5, 0.495, None),
        held(5, 0.493, 0.3),
        held(6, 0.480, 0.1),
        held(9, 0.499),
    ]
    chosen = choose(scores, 9)
    assert (chosen.layer, chosen.shrinkage) == (5, None)
    assert choose(scores, 9, target=1.0).layer == 9


def test_at_the_chosen_layer_the_best_read_out_is_taken() -> None:
    scores = [held(5, 0.49, None), held(5, 0.50, 0.3), held(2, 0.501, 0.7)]
    assert choose(scores, 9).shrinkage == 0.3
