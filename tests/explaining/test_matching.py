"""Matched directions: the same share, the same constant part, the same angles over layers, no meaning."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from affekt.explaining.matching import matched, shares, spread
from affekt.vectors.conceptvectors import unit

LAYERS, WIDTH = 3, 48


def residuals(tokens: int, seed: int = 0) -> Tensor:
    """Layers that follow each other as a residual stream does, with a large mean and few strong axes."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.logspace(1, -1, WIDTH)
    stream = torch.randn(tokens, WIDTH, generator=generator) * scale + 5 * torch.randn(
        WIDTH, generator=generator
    )
    layers = []
    for _ in range(LAYERS):
        stream = stream + 0.3 * torch.randn(tokens, WIDTH, generator=generator) * scale
        layers.append(stream)
    return torch.stack(layers)


def concept(seed: int = 1, drift: float = 0.4) -> Tensor:
    """A concept's unit vectors, each somewhat off the one before."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(LAYERS, WIDTH, generator=generator)
    steps[1:] *= drift
    return unit(steps.cumsum(0))


@pytest.mark.parametrize("tokens", [2, 12, 200])
def test_share_and_constant_part_are_the_concepts_at_every_layer(tokens: int) -> None:
    rows, own = residuals(tokens), concept()
    text = spread(rows)
    made = matched(own, text, 5, seed=3)
    assert torch.allclose(made.norm(dim=-1), torch.ones(5, LAYERS), atol=1e-5)
    mean = rows.mean(1)
    for one in made:
        assert shares(one, text) == pytest.approx(shares(own, text), rel=1e-3)
        assert (one * mean).sum(-1) == pytest.approx((own * mean).sum(-1), abs=1e-3)
        assert (one * own).sum(-1).abs().max() < 1e-5


def test_a_state_that_lasts_over_the_text_is_left_to_its_concept() -> None:
    """What a text is full of is in its mean; a control that took of that mean would take the state out."""
    own = concept()
    rows = residuals(40) + 60 * own[:, None]
    text = spread(rows)
    for one in matched(own, text, 5, seed=3):
        assert (one * own).sum(-1).abs().max() < 1e-5
        assert (shares(one, text) <= shares(own, text) * 1.001).all()


def test_the_share_is_what_an_ablation_takes() -> None:
    rows, own = residuals(20), concept()
    left = rows - (rows * own[:, None]).sum(-1, keepdim=True) * own[:, None]
    taken = 1 - left.pow(2).sum((1, 2)) / rows.pow(2).sum((1, 2))
    assert shares(own, spread(rows)) == pytest.approx(taken, rel=1e-4)


@pytest.mark.parametrize("axis", [0, WIDTH - 1])
def test_extreme_shares_are_matched_too(axis: int) -> None:
    """A concept along the strongest axis of the text, or along the weakest."""
    rows = residuals(200)
    _, _, axes = torch.linalg.svd(rows - rows.mean(1, keepdim=True), full_matrices=False)
    own = axes[:, axis]
    text = spread(rows)
    [one] = matched(own, text, 1, seed=0)
    # Nothing at right angles to an extreme takes quite as much, or as little.
    if axis:
        assert shares(one, text) == pytest.approx(shares(own, text), rel=0.15)
    else:
        assert (shares(one, text) > 0.5 * shares(own, text)).all()


def test_angles_over_layers_are_kept() -> None:
    rows, own = residuals(30), concept()
    made = matched(own, spread(rows), 40, seed=0)
    angles = (made[:, 1:] * made[:, :-1]).sum(-1).mean(0)
    assert angles == pytest.approx((own[1:] * own[:-1]).sum(-1), abs=0.08)
    fresh = torch.stack([matched(own, spread(rows), 1, seed=s)[0] for s in range(6)])
    assert (fresh[1:, 0] * fresh[:-1, 1]).sum(-1).abs().mean() < 0.4


def test_directions_mean_nothing_and_differ() -> None:
    rows, own = residuals(30), concept()
    made = matched(own, spread(rows), 30, seed=0)
    assert (made * own).sum(-1).abs().max() < 1e-5
    between = (made[:, 0] @ made[:, 0].T).fill_diagonal_(0)
    assert between.abs().max() < 0.8


def test_the_same_seed_gives_the_same_directions() -> None:
    own, text = concept(), spread(residuals(10))
    assert torch.equal(matched(own, text, 2, seed=5), matched(own, text, 2, seed=5))
    assert not torch.equal(matched(own, text, 2, seed=5), matched(own, text, 2, seed=6))


def test_one_token_has_a_mean_and_nothing_else() -> None:
    rows, own = residuals(1), concept()
    text = spread(rows)
    [one] = matched(own, text, 1, seed=0)
    assert shares(one, text) == pytest.approx(shares(own, text), rel=1e-4)
    assert (one * own).sum(-1).abs().max() < 1e-5


def test_residuals_of_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="no variance to match"):
        spread(torch.zeros(2, 3, 4))
