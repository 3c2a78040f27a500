"""The logit lens: a planted unembedding, and the real parts of tiny models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from affekt.concepts import emotions
from affekt.quality.figure import Figure
from affekt.quality.lens import lens, ranks
from affekt.quality.unembedding import Unembedding, unembedding
from tests.models import FAMILIES, tiny
from tests.quality.planted import D, draw, vectors_of

EMOTIONS = emotions()


class Words:
    """A tokenizer that has a token for each emotion, and as many that are nothing."""

    def __call__(self, text: str, **_options: bool) -> dict[str, list[int]]:
        return {"input_ids": [[c.name for c in EMOTIONS].index(text.strip())]}

    def decode(self, ids: list[int]) -> str:
        return EMOTIONS[ids[0]].name if ids[0] < 171 else "?"


def test_planted_words_come_first() -> None:
    directions = draw(171, D, seed=1)
    norm = nn.RMSNorm(D)
    with torch.no_grad():
        norm.weight.copy_(1 + draw(D, seed=2).abs())
    vectors = vectors_of(EMOTIONS, directions)
    matrix = torch.cat([directions / directions.norm(dim=1, keepdim=True), 0.1 * draw(829, D, seed=3)])
    section = lens(vectors, Unembedding(matrix, norm, Words()))
    found = {str(row[0]): row[1:] for row in section.rows}
    plain = found["projected, as it is"]
    assert isinstance(plain[0], Figure) and plain[0].value == 1 and plain[0].n == 171
    assert isinstance(plain[1], Figure) and plain[1].value == 1.0
    random = found["random, as it is"]
    assert isinstance(random[0], Figure) and 300 < random[0].value < 700
    assert isinstance(random[1], Figure) and random[1].value < 0.1
    assert section.verdict.startswith("Vectors point at their words")
    assert section.data["projected, as it is"]["happy"]["top"][0] == "happy"  # type: ignore[index]


def test_random_vectors_do_not_point() -> None:
    vectors = vectors_of(EMOTIONS, draw(171, D, seed=1))
    section = lens(vectors, Unembedding(draw(1000, D, seed=7), None, Words()))
    assert section.verdict.startswith("Vectors do not point at their words")
    assert not any("final norm" in str(row[0]) for row in section.rows)


def test_without_an_unembedding_it_is_not_measured() -> None:
    assert lens(vectors_of(EMOTIONS, draw(171, D)), None).verdict.startswith("Not measured")


def test_ranks_count_what_is_above() -> None:
    logits = torch.tensor([[0.1, 0.9, 0.5, 0.3]])
    assert ranks(logits, torch.tensor([[1, 3, 0]])).tolist() == [[0, 2, 3]]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_final_norm_and_unembedding_of_every_family(family: str) -> None:
    model = tiny(family)
    through = unembedding(model)
    assert through.norm is not None
    hidden: list[torch.Tensor] = []
    handle = model.layers[-1].register_forward_hook(
        lambda _m, _a, out: hidden.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.inference_mode():
        logits = model.network(input_ids=torch.tensor([[5, 9, 11]])).logits[0]
    handle.remove()
    with torch.inference_mode():
        direct = through.norm(hidden[0][0]) @ through.matrix.T
    # Soft caps and scales of logits keep the order.
    assert torch.equal(direct.argsort(dim=-1)[:, -5:], logits.argsort(dim=-1)[:, -5:])


def test_a_bias_of_the_norm_does_not_shift_every_direction() -> None:
    norm = nn.LayerNorm(D)
    with torch.no_grad():
        norm.bias.copy_(50 * draw(D, seed=4))
    through = Unembedding(draw(100, D, seed=5), norm, Words())
    units = torch.nn.functional.normalize(draw(2, D, seed=6), dim=1)
    both = through.logits(torch.stack([units[0], -units[0]]), with_norm=True)
    assert torch.allclose(both[0], -both[1], atol=1e-4)
    assert np.corrcoef(both[0], through.logits(units[:1], with_norm=False)[0])[0, 1] > 0.9
