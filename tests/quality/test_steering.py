"""What steering does to words and what it costs, by planted rules: naming, and random directions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from affekt.concepts import Concept, emotions
from affekt.quality.controls import with_random
from affekt.quality.figure import Figure
from affekt.quality.naming import DISPLAY, naming, raises
from affekt.vectors.conceptvectors import ConceptVectors
from tests.quality.planted import D, PlantedEngine, draw, vectors_of

VECTORS = vectors_of(emotions(), draw(171, D, seed=1))


def engine_for(strength: float, noise: float = 0.3):  # type: ignore[no-untyped-def]
    """Steering raises a word by the cosine of its direction with the one steered by, and by noise."""

    def make(vectors: ConceptVectors) -> PlantedEngine:
        units = dict(zip(vectors.names, vectors.directions(), strict=True))
        rng = np.random.default_rng(5)
        drift = {(a, w): noise * rng.normal() for a in ("", *vectors.names) for w in DISPLAY}

        def logprob(word: str, concept: str, dose: float) -> float:
            if word not in units:
                return -1.0
            along = float(units[word] @ units[concept]) if concept else 0.0
            return -8.0 + strength * dose * along + (drift[concept, word] if concept else 0.0)

        return PlantedEngine(vectors, logprob=logprob)

    return make


def test_planted_steering_is_seen() -> None:
    section = naming(engine_for(10.0), VECTORS, doses=(0.3,))
    own, others, random, mixtures, gap, beyond, best = [c for c in section.rows[0] if isinstance(c, Figure)]
    assert own.value == pytest.approx(3.0, abs=0.3) and abs(others.value) < 0.5
    assert abs(random.value) < 0.3 and abs(mixtures.value) < 0.6
    assert gap.low > 2 and beyond.low > 1.5 and best.value == 1.0 and best.n == 12
    assert "is the best raiser of its word for 12 of 12" in section.verdict
    matrix = np.array(section.data["dose 0.3"]["matrix"])  # type: ignore[index]
    assert matrix.shape == (12, 12) and np.array(section.data["dose 0.3"]["random"]).shape == (20, 12)  # type: ignore[index]
    assert section.data["dose 0.3"]["p"]["happy"] == pytest.approx(1 / 41)  # type: ignore[index]


def test_steering_that_does_nothing_is_said_to() -> None:
    section = naming(engine_for(0.0), VECTORS)
    assert section.verdict.startswith("Steering does not raise a concept's own word more")


def test_the_change_is_from_the_unsteered_word_and_leaves_the_prefix_out() -> None:
    calls: list[tuple[str, str, float]] = []

    def logprob(word: str, concept: str, dose: float) -> float:
        calls.append((word, concept, dose))
        return {"He": -100.0, "feels": -100.0 * (1 + dose)}.get(word, -4.0 + dose)

    table = raises(PlantedEngine(VECTORS, logprob=logprob), ["happy", "sad"], ["calm"], 0.5)
    assert table.tolist() == [[0.5, 0.5]] and ("happy", "calm", 0.5) in calls


def test_too_few_display_words() -> None:
    few = vectors_of([Concept("happy"), Concept("curious")], draw(2, D))
    assert naming(engine_for(1.0), few).verdict.startswith("Not measured")


def test_random_directions_stand_beside_the_concepts() -> None:
    both, names = with_random(VECTORS, 6, seed=3)
    assert both.names == (*VECTORS.names, *names) and len(set(names)) == 6
    assert torch.equal(both.projected[:, :171], VECTORS.projected)
    units = torch.stack([both.directions(layer)[171:] for layer in both.layers])
    assert torch.allclose(units.norm(dim=-1), torch.ones(3, 6))
    assert torch.allclose(units[0], units[2])  # the same at every layer, as a concept's are alike
    assert torch.equal(with_random(VECTORS, 6, seed=3)[0].raw, both.raw)
    assert not torch.equal(with_random(VECTORS, 6, seed=4)[0].raw, both.raw)


def test_mixtures_lie_in_the_span_of_the_concepts() -> None:
    few = vectors_of(emotions()[:5], draw(5, D, seed=11))
    both, names = with_random(few, 4, seed=0, spanned=True)
    basis = torch.linalg.qr(few.directions().T)[0]
    drawn = both.directions()[5:]
    assert torch.allclose((drawn @ basis @ basis.T), drawn, atol=1e-5) and "mixture" in names[0]
    plain = with_random(few, 4, seed=0)[0].directions()[5:]
    assert (plain @ basis).norm(dim=1).max() < 0.8
