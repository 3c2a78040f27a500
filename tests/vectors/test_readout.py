"""The read-out against a direct computation."""

from __future__ import annotations

import pytest
import torch

from affekt.errors import VectorsError
from affekt.vectors.readout import POSITIONS, position_of
from tests.vectors.fake import D_MODEL, made_vectors


def residuals(n: int = 5) -> torch.Tensor:
    return 4 + torch.randn(n, D_MODEL, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("layer", [None, 1, 2])
def test_scores_by_hand(layer: int | None) -> None:
    vectors = made_vectors()
    readout = vectors.readout(layer)
    at = vectors.layers.index(vectors.read_layer if layer is None else layer)
    assert readout.layer == vectors.layers[at]
    h = residuals()
    for place, position in enumerate(POSITIONS):
        z = readout.z(h, position)
        for t in range(len(h)):
            for c in range(3):
                product = float(h[t].double() @ vectors.weight[at, c].double())
                expected = (product - float(vectors.mean[at, place, c])) / float(vectors.std[at, place, c])
                assert float(z[t, c]) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    projected = vectors.projected[at]
    torch.testing.assert_close(
        readout.cosine(h), torch.cosine_similarity(h[:, None], projected[None], dim=-1)
    )
    lengths = projected / projected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(readout.projection(h), h @ lengths.T)


def test_each_token_by_its_own_position() -> None:
    readout = made_vectors().readout()
    h = residuals(4)
    mixed = readout.z(h, torch.tensor([3, 0, 1, 1]))
    for t, position in enumerate(("prompt_end", "text", "user", "user")):
        torch.testing.assert_close(mixed[t], readout.z(h[t], position))
    batch = readout.z(h.view(2, 2, -1), torch.tensor([[3, 0], [1, 1]]))
    torch.testing.assert_close(batch.view(4, -1), mixed)


def test_any_float_type_is_read_in_float32() -> None:
    readout = made_vectors().readout()
    h = residuals().bfloat16()
    for made in (readout.z(h, "text"), readout.cosine(h), readout.projection(h)):
        assert made.dtype == torch.float32
    torch.testing.assert_close(readout.z(h, "text"), readout.z(h.float(), "text"))


def test_some_concepts_on_a_device() -> None:
    readout = made_vectors().readout()
    some = readout.only([2, 0]).to(torch.device("cpu"))
    h = residuals()
    torch.testing.assert_close(some.z(h, "reply"), readout.z(h, "reply")[:, [2, 0]])
    torch.testing.assert_close(some.cosine(h), readout.cosine(h)[:, [2, 0]])


def test_a_zero_residual_has_no_cosine_but_no_nan_either() -> None:
    assert made_vectors().readout().cosine(torch.zeros(1, D_MODEL)).tolist() == [[0.0] * 3]


def test_positions_of_roles() -> None:
    expected = {
        "text": "text",
        "user": "user",
        "system": "user",
        "template": "user",
        "special": "user",
        "tool": "user",
        "assistant": "reply",
        "thinking": "reply",
        "generation": "prompt_end",
    }
    assert {role: position_of(role) for role in expected} == expected


def test_a_layer_that_is_not_held() -> None:
    with pytest.raises(VectorsError, match=r"hold the layers \[1, 2\], not 3"):
        made_vectors().readout(3)
