"""Held-out forms: planted vectors are found, noise is not, and words get their due."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from affekt.concepts import Concept, Corpus
from affekt.errors import CorpusError
from affekt.quality.accuracy import forms, left_out
from affekt.quality.cells import Cells, Training, gather, trainings
from affekt.quality.figure import Figure
from affekt.quality.hits import compare, hits_of
from tests.quality.planted import D, PlantedEngine, corpus_of, draw, vectors_of

NAMES = tuple(f"c{i:02}" for i in range(20))
FORMS = {"story": 4, "letter": 1, "note": 1}


def planted(corpus: Corpus, strength: float, noise: float = 1.0) -> Cells:
    """Each text has its concept's direction, its topic's own and noise."""
    directions, of_topic = (
        draw(len(NAMES), D, seed=1),
        {t: 5 * draw(D, seed=9 + i) for i, t in enumerate(corpus.topics)},
    )
    body = {text.body: (text.concept, text.topic) for text in corpus}

    def residual(text: str, layer: int) -> torch.Tensor:
        concept, topic = body[text]
        return strength * directions[NAMES.index(concept)] + of_topic[topic]

    vectors = vectors_of([Concept(name) for name in NAMES], directions, corpus)
    engine = PlantedEngine(vectors, residual, noise=noise * 14**0.5)  # 14 tokens a text are averaged
    return gather(engine, vectors, trainings(vectors, [corpus])[0])


def last(section: object) -> list[Figure]:
    return [cell for cell in section.rows[-1] if isinstance(cell, Figure)]  # type: ignore[attr-defined]


def test_planted_vectors_beat_words_that_say_nothing() -> None:
    section = forms(planted(corpus_of(NAMES, FORMS), strength=1.0))
    top1, words1, gain1, top5, _, gain5 = last(section)
    assert top1.value > 0.9 and words1.value < 0.25 and gain1.low > 0.6
    assert top5.value > 0.97 and gain5.low > 0
    assert "tell more than the words alone" in section.verdict
    assert [row[0] for row in section.rows] == ["letter", "note", "story", "mean over those left out"]
    assert section.rows[0][1].n == 20 and section.rows[2][1].n == 80  # type: ignore[union-attr]


def test_noise_is_at_chance_and_the_card_says_so() -> None:
    section = forms(planted(corpus_of(NAMES, FORMS), strength=0.0))
    top1, _, gain1, *_ = last(section)
    assert top1.low <= 1 / 20 <= top1.high and gain1.low <= 0 <= gain1.high
    assert "no difference to the words alone is shown" in section.verdict


def test_words_that_tell_all_beat_noise() -> None:
    section = forms(planted(corpus_of(NAMES, FORMS, tell=1.0), strength=0.0))
    _, words1, gain1, *_ = last(section)
    assert words1.value > 0.8 and gain1.high < -0.5
    assert "LESS" in section.verdict


def test_the_held_out_cells_have_no_part_in_the_vectors() -> None:
    corpus = corpus_of(NAMES, FORMS)
    cells = planted(corpus, strength=1.0)
    broken = cells.means.clone()
    column = cells.layout.forms.index("note")
    broken[:, column] = broken[torch.randperm(len(NAMES), generator=torch.Generator().manual_seed(0)), column]
    before = {fold.name: fold.vectors for fold in left_out(cells)}
    after = {fold.name: fold.vectors for fold in left_out(replace(cells, means=broken))}
    # Shuffling the form that is left out changes the order of its own scores and nothing of its weights.
    assert np.allclose(np.sort(before["note"], axis=0), np.sort(after["note"], axis=0), atol=1e-4)
    assert not np.allclose(before["letter"], after["letter"], atol=1e-3)


def test_without_a_discriminant_what_is_neutral_is_removed_as_in_the_vectors() -> None:
    cells = planted(corpus_of(NAMES, FORMS), strength=1.0)
    assert cells.training.shrinkage is None
    basis = torch.linalg.qr(draw(D, 3, seed=5))[0]
    cells = replace(cells, neutral=basis)
    # Of each concept its own amount of something neutral, in all of its texts.
    moved = replace(cells, means=cells.means + 9 * (draw(len(NAMES), 3, seed=6) @ basis.T)[:, None])
    for one, other in zip(left_out(cells), left_out(moved), strict=True):
        assert np.allclose(one.vectors, other.vectors, atol=1e-2)


def test_empty_cells_are_left_out_of_both_arms() -> None:
    cells = planted(corpus_of(NAMES, FORMS), strength=1.0)
    means = cells.means.clone()
    means[3, cells.layout.forms.index("note")] = torch.nan
    [fold] = [f for f in left_out(replace(cells, means=means)) if f.name == "note"]
    assert len(fold.truth) == 19 and "c03" not in fold.concepts
    assert np.isfinite(fold.words).all() and np.isfinite(fold.words_centred).all()


def test_topics_are_left_out_where_there_is_one_form() -> None:
    section = forms(planted(corpus_of(NAMES, {"story": 6}), strength=1.0))
    assert section.rows[0][0] == "topics, part 1" and last(section)[0].value > 0.9


def test_one_topic_alone_cannot_be_left_out() -> None:
    assert forms(planted(corpus_of(NAMES, {"story": 1}), strength=1.0)).verdict.startswith("Not measured")


def test_a_corpus_of_other_vectors_is_refused() -> None:
    corpus, other = corpus_of(NAMES, FORMS), corpus_of(NAMES, {"story": 2}, name="other")
    vectors = vectors_of([Concept(name) for name in NAMES], draw(20, D), corpus)
    assert [each.corpus.name for each in trainings(vectors, [corpus])] == ["made"]
    assert trainings(vectors) == []
    with pytest.raises(CorpusError, match=r"other .* is not what these vectors were made of; that was made"):
        trainings(vectors, [other])


def test_ties_are_broken_by_lot() -> None:
    scores = np.zeros((4, 10))
    scores[0, 2], scores[1, :3] = 1.0, 1.0
    hits = hits_of(scores, np.array([2, 1, 9, 0]))
    assert hits.at[1].tolist() == pytest.approx([1.0, 1 / 3, 0.1, 0.1])
    assert hits.at[5].tolist() == pytest.approx([1.0, 1.0, 0.5, 0.5])


def test_the_difference_is_paired() -> None:
    truth = np.arange(30) % 10
    good = np.eye(10)[truth]
    figures = compare(hits_of(good, truth), hits_of(good, truth))
    assert figures[2].value == 0 and figures[2].high < 0.13  # equal text by text, not only on the whole
    assert figures[0].value == 1.0


def test_a_training_without_shrinkage_is_plain() -> None:
    corpus = corpus_of(NAMES, {"story": 2})
    assert (
        Training(corpus, {}).shrinkage is None and Training(corpus, {"read_shrinkage": 0.3}).shrinkage == 0.3
    )
