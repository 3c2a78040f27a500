from __future__ import annotations

import pytest
import torch

from affekt.steering.control import random_directions


def test_directions_are_of_norm_one_and_repeatable():
    drawn = random_directions(50, 32, seed=3)
    assert drawn.shape == (50, 32) and torch.allclose(drawn.norm(dim=1), torch.ones(50))
    assert torch.equal(drawn, random_directions(50, 32, seed=3))
    assert not torch.equal(drawn, random_directions(50, 32, seed=4))
    assert (drawn @ drawn.T).fill_diagonal_(0).abs().max() < 0.8


def test_without_a_covariance_no_axis_is_preferred():
    assert torch.allclose(
        random_directions(20_000, 4, seed=0).square().mean(0), torch.full((4,), 0.25), atol=0.01
    )


def test_a_covariance_or_a_sample_shapes_them():
    generator = torch.Generator().manual_seed(0)
    mixing = (
        torch.diag(torch.tensor([3.0, 1.0, 0.1, 0.0]))
        @ torch.linalg.qr(torch.randn(4, 4, generator=generator)).Q
    )
    sample = torch.randn(4000, 4, generator=generator) @ mixing + 7.0
    shaped = random_directions(20_000, 4, seed=0, covariance=mixing.T @ mixing)
    sampled = random_directions(20_000, 4, seed=1, sample=sample)
    for drawn in (shaped, sampled):
        assert torch.allclose(drawn.norm(dim=1), torch.ones(20_000), atol=1e-5)
        shares = (drawn @ torch.linalg.qr(mixing.T).Q).square().mean(0)
        assert shares[0] > 0.7 and shares[3] < 1e-6
    assert torch.allclose(shaped.T @ shaped / 20_000, sampled.T @ sampled / 20_000, atol=0.03)


def test_contradictory_requests_are_errors():
    with pytest.raises(ValueError, match="not both"):
        random_directions(1, 4, 0, covariance=torch.eye(4), sample=torch.ones(2, 4))
    with pytest.raises(ValueError, match="width 4 cannot have a covariance of width 3"):
        random_directions(1, 4, 0, covariance=torch.eye(3))
