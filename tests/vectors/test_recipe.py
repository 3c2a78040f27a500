"""A recipe refuses what makes no sense; bands of depth become layers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from affekt.errors import VectorsError
from affekt.vectors.recipe import VARIANTS, Recipe, candidate_layers, check_variant


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"first_token": -1}, "first_token is -1; give 0 or more"),
        ({"neutral_share": 1.0}, "neutral_share is 1.0; give 0"),
        ({"neutral_share": -0.1}, "neutral_share is -0.1"),
        ({"neutral_share": float("nan")}, "neutral_share is nan"),
        ({"shrinkage": 0.0}, "shrinkage is 0.0; give more than 0, at most 1"),
        ({"shrinkage": 1.1}, "shrinkage is 1.1"),
        ({"band": (0.8, 0.4)}, r"band is \(0.8, 0.4\); give two shares of depth"),
        ({"band": (0.5, 1.5)}, "band is"),
        ({"steer_band": (-0.5, 0.5)}, "steer_band is"),
    ],
)
def test_wrong_choices(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(VectorsError, match=said):
        Recipe(**wrong)


def test_wrong_variant() -> None:
    with pytest.raises(VectorsError, match="unknown variant 'projcted'; did you mean 'projected'"):
        check_variant("projcted")
    for variant in VARIANTS:
        check_variant(variant)


def test_the_borders_are_choices_too() -> None:
    Recipe(first_token=0, neutral_share=0.0, shrinkage=1.0, band=(0.0, 1.0), steer_band=(0.5, 0.5))


def test_as_json() -> None:
    plain = Recipe().plain()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["band"] == [0.45, 0.7] and plain["first_token"] == 50


@pytest.mark.parametrize(
    ("n_layers", "band", "layers"),
    [
        (10, (0.45, 0.8), (4, 5, 6, 7)),
        (4, (0.45, 0.8), (1, 2)),
        (10, (0.0, 1.0), tuple(range(10))),
        (10, (0.61, 0.62), (5,)),
        (1, (0.45, 0.8), (0,)),
        (2, (0.6, 0.7), (0,)),
        (3, (0.99, 0.999), (2,)),
    ],
)
def test_candidate_layers(n_layers: int, band: tuple[float, float], layers: tuple[int, ...]) -> None:
    assert candidate_layers(n_layers, band) == layers
